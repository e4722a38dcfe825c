/**
 * publisher COUNT (URL VERSION)…: for each server publishes COUNT messages to `spec/<qos>` per QoS, and calls publish()
 * for all before it awaits one. Prints how many of each QoS were accepted.
 */
import { connect, type ProtocolVersion } from '../../../lib/index.ts';
import { numbered, serversOf } from './numbered.ts';

const [count = '', ...servers] = process.argv.slice(2);

async function publish(url: string, protocolVersion: ProtocolVersion): Promise<Record<string, number>> {
  // On a busy machine a broker may take longer for an answer than the default of messageRetry.
  const client = await connect(url, { protocolVersion, messageRetry: 0 });
  const settled: Record<string, number> = {};
  for (const qos of [0, 1, 2] as const) {
    const calls = Array.from({ length: Number(count) }, (_, i) =>
      client.publish(`spec/${qos}`, numbered(i), { qos }),
    );
    const results = await Promise.all(calls);
    settled[qos] = results.filter(({ reasonCode }) => reasonCode === 0).length;
  }
  await client.disconnect();
  return settled;
}

const all = serversOf(servers).map(({ url, version }) => publish(url, version));
console.log(JSON.stringify(await Promise.all(all)));
