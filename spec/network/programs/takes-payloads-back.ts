/** takes-payloads-back URL: transfers the memory of payloads away before their promises settle. */
import { connect, PublishError } from '../../../lib/index.ts';

const client = await connect(process.argv[2] ?? '');
const outcomes = [1_000, 100_000, 3_000_000, 20_000_000].flatMap((size) =>
  ([0, 1, 2] as const).map((qos) => {
    const payload = new Uint8Array(size);
    const publishing = client.publish(`spoiled/${size}`, payload, { qos });
    structuredClone(payload.buffer, { transfer: [payload.buffer] });
    return publishing.then(
      () => 'published',
      (error: unknown) => (error instanceof PublishError ? error.delivery : String(error)),
    );
  }),
);
for (const outcome of await Promise.all(outcomes)) console.log(outcome);
await client.publish('spec/ending', 'published', { qos: 1 });
console.log(Object.keys(client.stats().failures).length);
await client.disconnect();
