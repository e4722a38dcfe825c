/**
 * One run of one contender, in its own process. The bench starts it with a `Task` as its only argument and reads
 * `Figures` from its stdout. The measurement begins after a warm-up over the same connection.
 */
import { Socket } from 'node:net';
import { ours, theirs, TOPIC, type Contender, type Scenario, type Style } from './contenders.ts';
import type { Demand } from './null-server.ts';

export interface Task {
  readonly url: string;
  /** The certificate that verifies the server, with TLS. */
  readonly ca?: string;
  readonly style: Style;
  readonly scenario: Scenario;
  readonly warmUp: number;
  readonly messages: number;
}

export interface Figures {
  /** CPU seconds of this process per million messages. */
  readonly cpu: number;
  /** Messages per second. */
  readonly rate: number;
  /** Writes to the socket per 1000 messages. */
  readonly writes: number;
  /** Bytes allocated per message: on the heap, and in buffers. Valid only if nothing was collected. */
  readonly heap: number;
  readonly buffers: number;
}

type Write = (...given: unknown[]) => unknown;

/** Counts writes to sockets. Each is one system call. */
function countWrites(): { count: number } {
  const writes = { count: 0 };
  const prototype = Socket.prototype as unknown as Record<'_write' | '_writev', Write>;
  for (const name of ['_write', '_writev'] as const) {
    const original = prototype[name];
    prototype[name] = function (...given) {
      writes.count++;
      return original.apply(this, given);
    };
  }
  return writes;
}

/** Counts received messages, and resolves when a number is reached. */
class Tally {
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

async function work(
  contender: Contender,
  { qos, payload, direction }: Scenario,
  tally: Tally,
  messages: number,
): Promise<void> {
  if (direction === 'publish') {
    await contender.publish(messages);
    // For QoS 0, wait until all messages were sent.
    if (qos === 0) await contender.tell('end', '');
    return;
  }
  const demand: Demand = { messages, payload, qos: qos === 0 ? 0 : 1, topic: TOPIC };
  const all = tally.next(messages);
  await contender.tell('go', JSON.stringify(demand));
  await all;
}

async function measure({ url, ca, style, scenario, warmUp, messages }: Task): Promise<Figures> {
  const writes = countWrites();
  const contender = style === 'ours' ? await ours(url, scenario, ca) : await theirs(url, scenario, style, ca);
  const tally = new Tally();
  if (scenario.direction === 'receive') await contender.subscribe(tally.add);
  await work(contender, scenario, tally, warmUp);
  globalThis.gc?.();
  const memory = process.memoryUsage();
  const written = writes.count;
  const cpu = process.cpuUsage();
  const began = performance.now();
  await work(contender, scenario, tally, messages);
  const took = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const after = process.memoryUsage();
  const figures = {
    cpu: (user + system) / messages,
    rate: (messages / took) * 1_000,
    writes: ((writes.count - written) / messages) * 1_000,
    heap: (after.heapUsed - memory.heapUsed) / messages,
    buffers: (after.arrayBuffers - memory.arrayBuffers) / messages,
  };
  await contender.end();
  return figures;
}

console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]!) as Task)));
