/**
 * Times parts of the library alone: Topic Filters, the queue, the framer, and handing messages to a loop. mitata prints
 * nanoseconds and bytes per item of `args`; compare figures only within one group.
 */
import { bench, do_not_optimize, group, run } from 'mitata';
import type { MessageSource } from '../../lib/client/receive/consumer.ts';
import { MessageIterator } from '../../lib/client/receive/message-iterator.ts';
import type { ReceivedMessage } from '../../lib/client/receive/received-message.ts';
import { encode } from '../../lib/codec/codec.ts';
import { Framer } from '../../lib/codec/framer.ts';
import { Exchange } from '../../lib/session/exchange.ts';
import { Queue } from '../../lib/session/queue.ts';
import { Trie } from '../../lib/topic/trie.ts';
import { filtersOf, topicOf } from '../client/task.ts';
import { RECEIVE } from '../scenario.ts';

const ignore = (value: number): void => {
  do_not_optimize(value);
};

group('match a Topic Name, a filter per topic', () => {
  for (const filters of ['exact', 'plus', 'hash'] as const)
    for (const topics of [1, 100, 10_000]) {
      const trie = new Trie<number>();
      for (const [index, filter] of filtersOf({ ...RECEIVE, topics, filters }).entries())
        trie.add(filter, index);
      const names = Array.from({ length: topics }, (_, index) => topicOf(index));
      let next = 0;
      bench(`${filters}, ${topics} filters`, () => {
        trie.match(names[next]!, ignore);
        next = next + 1 === topics ? 0 : next + 1;
      });
    }
});

group('queue a message and take it out again', () => {
  const payload = new Uint8Array(64);
  for (const length of [1, 1_000, 100_000]) {
    const queue = new Queue();
    for (let i = 1; i < length; i++) queue.push(new Exchange(topicOf(0), payload, 1, false, undefined));
    bench(`${length} in the queue`, () => {
      queue.push(new Exchange(topicOf(0), payload, 1, false, undefined));
      do_not_optimize(queue.shift());
    });
  }
});

group('cut a read of 64 KiB into packets', () => {
  for (const size of [64, 1_024, 16_384]) {
    const packet = encode({ type: 'publish', topic: topicOf(0), payload: new Uint8Array(size) }, 4);
    const packets = Math.floor(65_536 / packet.length);
    const chunk = new Uint8Array(packets * packet.length);
    for (let i = 0; i < packets; i++) chunk.set(packet, i * packet.length);
    const framer = new Framer({ protocolVersion: 4 });
    bench(`${packets} messages of ${size} B`, () => {
      framer.push(chunk);
      while (framer.next()) do_not_optimize(framer.start);
    });
  }
});

group('hand 1,000 waiting messages to a loop', () => {
  const message = { unsettled: false } as unknown as ReceivedMessage;
  const none = (): void => {};
  bench('for await', async () => {
    let left = 1_000;
    const source: MessageSource = {
      canReject: false,
      addConsumer: none,
      removeConsumer: none,
      shift: () => (left-- > 0 ? message : undefined),
      request: (waiter) => waiter.end(undefined),
      withdraw: none,
      processed: none,
      overlapped: none,
      giveBack: none,
      onProgress: none,
    };
    const loop: AsyncIterable<ReceivedMessage> = new MessageIterator(source);
    for await (const each of loop) do_not_optimize(each);
  });
});

await run({ filter: new RegExp(process.argv[2] ?? '.') });
