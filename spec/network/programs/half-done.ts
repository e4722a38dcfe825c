/**
 * half-done URL VERSION TEXT…: publishes each text with QoS 2 in a persistent session, and reads messages. On 5.0 the
 * Content Type says that they are old. It does not end.
 */
import type { ProtocolVersion } from '../../../lib/codec/packets.ts';
import { connect } from '../../../lib/index.ts';

const [url = '', version = '', ...texts] = process.argv.slice(2);
const protocolVersion = Number(version) as ProtocolVersion;
const client = await connect(url, {
  protocolVersion,
  clientId: 'half-done',
  cleanStart: false,
  ...(protocolVersion === 5 && { sessionExpiryInterval: 600 }),
});
const subscription = await client.subscribe('to/it', { qos: 2 });
console.log('ready');
const options = { qos: 2, ...(protocolVersion === 5 && { properties: { contentType: 'old' } }) } as const;
for (const text of texts) void client.publish('from/it', text, options);
for await (const message of subscription) console.log(message.text());
