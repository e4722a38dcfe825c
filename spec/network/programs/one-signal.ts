/** one-signal URL: passes one signal to many concurrent calls. */
import { connect } from '../../../lib/index.ts';

const { signal } = new AbortController();
const client = await connect(process.argv[2] ?? '');
const subscriptions = await Promise.all(
  Array.from({ length: 20 }, (_, n) => client.subscribe(`spec/signal/${n}`, { signal })),
);
const receiving = subscriptions.map((subscription) => subscription.receive({ signal }));
await Promise.all(subscriptions.map((_, n) => client.publish(`spec/signal/${n}`, 'x', { qos: 1, signal })));
console.log((await Promise.all(receiving)).length);
await client.drain({ signal });
