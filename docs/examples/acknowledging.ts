/** docs/delivery.md: when a message is acknowledged, and what happens to the current message when a loop ends. */
import { Client, connect } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();
await using sender = await connect(broker.url);
const send = (...words: string[]) =>
  Promise.all(words.map((word) => sender.publish('tasks', word, { qos: 1 })));

// In a persistent session the subscription outlives its loops.
await using client = new Client(broker.url, { clientId: 'worker', cleanStart: false });
await client.connect();
const tasks = await client.subscribe('tasks', { qos: 1 });

await send('one', 'two', 'three');
for await (const message of tasks) {
  console.log('loop 1:', message.text());
  if (message.text() === 'two') break; // 'one' is acknowledged; 'two' is not, and returns to the front of the buffer
}
for await (const message of tasks) {
  console.log('loop 2:', message.text(), message.duplicate ? '(again)' : '');
  if (message.text() === 'three') {
    message.ack(); // acknowledge the message before leaving the loop
    break;
  }
}

await send('four', 'five', 'six');
const four = await tasks.receive(); // acknowledged as it is handed over
console.log('receive:', four.text());
for await (const batch of tasks.batches({ max: 100 })) {
  console.log('batch:', batch.map((message) => message.text()).join(', '));
  for (const message of batch) message.ack();
  if (batch.at(-1)?.text() === 'six') break;
}

await send('seven', 'eight', 'nine');
const enough = new AbortController();
let finished = 0;
await tasks
  .forEach(
    async (message) => {
      await new Promise((resolve) => setTimeout(resolve, 10)); // the message is acknowledged when the handler has finished
      console.log('forEach:', message.text());
      if (++finished === 3) setImmediate(() => enough.abort());
    },
    { concurrency: 2, signal: enough.signal },
  )
  .catch((error: unknown) => {
    if (!enough.signal.aborted) throw error;
  });
