/**
 * docs/connecting.md: Azure IoT Hub, with a new token for each attempt. Without the variables below it runs against
 * a local server with the same requirements:
 *
 *   AZURE_IOT_HUB=name AZURE_DEVICE_KEY=… npx tsx docs/examples/connecting-azure.ts
 */
import { createHmac } from 'node:crypto';
import { Client } from '../../lib/index.ts';
import { startBroker } from './broker.ts';
import { makeCertificates } from './support/certificates.ts';

/** Returns a shared access signature that is valid for `life` seconds. */
function token(resource: string, key: string, life = 3_600): string {
  const expiry = Math.floor(Date.now() / 1_000) + life;
  const about = encodeURIComponent(resource);
  const signature = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(`${about}\n${expiry}`)
    .digest('base64');
  return `SharedAccessSignature sr=${about}&sig=${encodeURIComponent(signature)}&se=${expiry}`;
}

const { AZURE_IOT_HUB: hub, AZURE_DEVICE_KEY: key = 'b25seSBhbiBleGFtcGxl' } = process.env;
const device = 'meter-7';
const host = `${hub ?? 'example'}.azure-devices.net`;

await using certificates = await makeCertificates();
await using local = await startBroker({
  protocol: 'mqtts',
  tls: await certificates.server(),
  knows: (clientId, username, password) =>
    clientId === device &&
    username.startsWith(`${host}/${device}/`) &&
    password.startsWith('SharedAccessSignature '),
});

await using client = new Client(hub === undefined ? local.url : `mqtts://${host}`, {
  clientId: device,
  cleanStart: false,
  keepAlive: 240, // at most 1767
  maxFiltersPerPacket: 1,
  credentials: () => ({
    username: `${host}/${device}/?api-version=2021-04-12`,
    password: token(`${host}/devices/${device}`, key),
  }),
  // The hub closes a connection when its token expires. The next attempt uses a new token.
  ...(hub === undefined && { tls: { caFile: certificates.file('ca.pem') } }),
});
await client.connect();
// QoS 0 and 1 only.
await client.publish(`devices/${device}/messages/events/`, JSON.stringify({ temperature: 21.5 }), { qos: 1 });
await client.reconnect();
console.log('published with a token, and connected again with another');
