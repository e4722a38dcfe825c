/** publisher URL VERSION COUNT: publishes COUNT messages to `spec/<qos>` per QoS, and calls publish() for all before it awaits one. */
import { connect } from '../../../lib/index.ts';
import type { ProtocolVersion } from '../../../lib/codec/packets.ts';
import { numbered } from './numbered.ts';

const [url = '', version = '', count = ''] = process.argv.slice(2);
// On a busy machine a broker may take longer for an answer than the default of messageRetry.
const client = await connect(url, { protocolVersion: Number(version) as ProtocolVersion, messageRetry: 0 });
const settled: Record<string, number> = {};
for (const qos of [0, 1, 2] as const) {
  const calls = Array.from({ length: Number(count) }, (_, i) =>
    client.publish(`spec/${qos}`, numbered(i), { qos }),
  );
  const results = await Promise.all(calls);
  settled[qos] = results.filter(({ reasonCode }) => reasonCode === 0).length;
}
await client.disconnect();
console.log(JSON.stringify(settled));
