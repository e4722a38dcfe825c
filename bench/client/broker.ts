/** Two clients in one process that talk to each other through a broker. */
import { measure } from './measure.ts';
import { connectPeer, Tally } from './throughput.ts';
import { topicOf, type Figures, type Task } from './task.ts';

/** One client publishes, and the other one receives. */
export async function endToEnd({ url, contender, workload, warmUp, count }: Task): Promise<Figures> {
  const topics = [topicOf(0)];
  const receiver = await connectPeer({ url, contender, workload, topics });
  const publisher = await connectPeer({ url, contender, workload, topics });
  const tally = new Tally();
  await receiver.subscribe(topics, tally.add);
  const run = async (messages: number): Promise<void> => {
    const all = tally.next(messages);
    await publisher.publish(messages);
    await all;
  };
  await run(warmUp);
  const figures = await measure(count, () => run(count));
  await Promise.all([publisher.end(), receiver.end()]);
  return figures;
}

/** A message to the other client, and one back. */
export async function pingPong({ url, contender, workload, warmUp, count }: Task): Promise<Figures> {
  const [ping, pong] = [topicOf(0), topicOf(1)];
  const asking = await connectPeer({ url, contender, workload, topics: [ping] });
  const answering = await connectPeer({ url, contender, workload, topics: [pong] });
  const tally = new Tally();
  let failed: (error: unknown) => void;
  const failure = new Promise<never>((_, reject) => {
    failed = reject;
  });
  failure.catch(() => {});
  await answering.subscribe([ping], () => void answering.publish(1).catch(failed));
  await asking.subscribe([pong], tally.add);
  const times: number[] = [];
  const run = async (turns: number): Promise<void> => {
    for (let i = 0; i < turns; i++) {
      const began = performance.now();
      const answered = tally.next(1);
      await Promise.race([Promise.all([asking.publish(1), answered]), failure]);
      times.push(performance.now() - began);
    }
  };
  await run(warmUp);
  times.length = 0;
  const figures = await measure(count, () => run(count));
  await Promise.all([asking.end(), answering.end()]);
  times.sort((a, b) => a - b);
  return { ...figures, p50: times[times.length >> 1]! * 1_000 };
}
