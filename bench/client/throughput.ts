/** Publishes to the null server, or receives from it, over one connection. */
import { allocations, measure, pauses } from './measure.ts';
import { mqttjs } from './mqttjs.ts';
import { ours } from './ours.ts';
import type { Peer, PeerOptions } from './peer.ts';
import { filtersOf, topicOf, type Demand, type Figures, type Task, type Workload } from './task.ts';

export const isOurs = ({ contender }: Pick<PeerOptions, 'contender'>): boolean =>
  contender === 'ours' || contender === 'lean' || contender === 'base';

export const connectPeer = (options: PeerOptions): Promise<Peer> =>
  isOurs(options) ? ours(options) : mqttjs(options);

/** Counts received messages, and resolves when a number is reached. */
export class Tally {
  #count = 0;
  #target = Infinity;
  #reached = (): void => {};

  readonly add = (messages: number): void => {
    this.#count += messages;
    if (this.#count >= this.#target) this.#reached();
  };

  next(messages: number): Promise<void> {
    this.#target = this.#count + messages;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }
}

export async function work(
  peer: Peer,
  { qos, payload, direction, topics, order }: Workload,
  tally: Tally,
  messages: number,
): Promise<void> {
  if (direction === 'publish') {
    await peer.publish(messages);
    // For QoS 0, wait until all messages were sent.
    if (qos === 0) await peer.tell('end', '');
    return;
  }
  const demand: Demand = { messages, payload, qos, topics, order };
  const all = tally.next(messages);
  await peer.tell('go', JSON.stringify(demand));
  await all;
}

export async function throughput(task: Task): Promise<Figures> {
  const { job, url, ca, contender, workload, warmUp, count } = task;
  const topics = Array.from({ length: workload.topics }, (_, index) => topicOf(index));
  const peer = await connectPeer({ url, ca, contender, workload, topics });
  const tally = new Tally();
  if (workload.direction === 'receive') await peer.subscribe(filtersOf(workload), tally.add);
  if (warmUp > 0) await work(peer, workload, tally, warmUp);
  const run = (): Promise<void> => work(peer, workload, tally, count);
  const gauge = job === 'pauses' ? pauses : globalThis.gc === undefined ? measure : allocations;
  const figures = await gauge(count, run);
  await peer.end();
  if (workload.payload < 2 ** 20 || figures.cpu === undefined) return figures;
  return { ...figures, perGigabyte: (figures.cpu / workload.payload) * 1_000 };
}
