/** docs/ending.md: disconnect(), drain(), await using. */
import { ClosedError, connect, type Message } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();

// drain(): loops finish their buffered messages, published messages are acknowledged, then the client disconnects.
{
  const client = await connect(broker.url);
  const work = await client.subscribe('work', { qos: 1 });
  const words: string[] = [];
  const loop = (async () => {
    for await (const message of work) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      words.push(message.text());
    }
  })();
  await Promise.all(['a', 'b', 'c'].map((word) => client.publish('work', word, { qos: 1 })));
  while (words.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const report = await client.drain({ timeout: 2_000 });
  await loop; // ends without an error
  console.log(`drained: ${words.join(' ')}, left: ${JSON.stringify(report)}`);
}

// disconnect(): ends at once. Loops end, promises settle, the server does not publish the Will.
{
  const client = await connect(broker.url);
  const finished = client.closed;
  await client.disconnect();
  await finished;
  await client.disconnect(); // no effect
  console.log(`state: ${client.state}`);
}

// await using: drain() at the end of the scope, also after an error.
{
  await using client = await connect(broker.url);
  await client.publish('bye', 'the last words', { qos: 1 });
}

// SIGTERM: drain() ends the loops, then the process ends.
{
  const client = await connect(broker.url);
  const work = await client.subscribe('work', { qos: 1 });
  process.once('SIGTERM', () => {
    client.drain().then(
      ({ undelivered, unacknowledged }) => console.log({ undelivered, unacknowledged }),
      (error: unknown) => console.error(error),
    );
  });
  setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50);
  for await (const message of work) console.log(message.text());
  await client.closed;
}

// A subscribe() that still waits for SUBACK: a loop over it ends without an error, `await` throws a ClosedError.
{
  const client = await connect(broker.url);
  const handle = (message: Message): void => console.log(message.text());
  async function work(topicFilter: string): Promise<void> {
    try {
      const subscription = await client.subscribe(topicFilter, { qos: 1 });
      await subscription.forEach(handle);
    } catch (error) {
      if (!(error instanceof ClosedError)) throw error; // the client has ended, so the work has too
      console.log('the client has ended');
    }
  }
  async function loop(): Promise<void> {
    for await (const message of client.subscribe('work', { qos: 1 })) handle(message);
    console.log('the loop has ended');
  }
  const before = await client.subscribe('before');
  const parts = [work('work'), loop()];
  void before.stop();
  await client.drain();
  await Promise.all(parts);
}
console.log('nothing keeps the process alive');
