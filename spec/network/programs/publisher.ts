/** publisher URL VERSION COUNT: publishes COUNT messages to `spec/<qos>` per QoS, and awaits none before all are given. */
import { connect } from '../../../lib/index.ts';
import type { ProtocolVersion } from '../../../lib/codec/packets.ts';
import { numbered } from './numbered.ts';

const [url = '', version = '', count = ''] = process.argv.slice(2);
// On a machine that is busy a broker may take longer for an answer than 3.1 and 3.1.1 wait before they send again.
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
