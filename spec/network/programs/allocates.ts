/**
 * allocates VERSION: publishes and receives with each QoS over a connection in memory. Prints how many bytes of heap the
 * client allocates for each message, garbage included, and how many writes it makes for 1,000 messages:
 * `publish qos 0: BYTES, WRITES writes`. Needs --expose-gc.
 */
import { connect, type QoS } from '../../../lib/index.ts';
import type { Transport, TransportReceiver } from '../../../lib/transport/transport.ts';

/** Messages between two measurements. What they allocate fits into the young generation, so nothing is collected meanwhile. */
const MESSAGES = 1_000;
/** So many that the compiler is done also where it has to wait for a core. */
const WARM_UPS = 100;
const MEASUREMENTS = 11;

const TOPIC = 'site/7/line/3/temperature';
const PAYLOAD = new Uint8Array(64);

const version = process.argv[2] === '5' ? 5 : 4;

/**
 * The server: it acknowledges everything in the next turn, sends messages when it is told to, and allocates nothing per
 * packet. All packets are short.
 */
class Server implements Transport {
  readonly bytesPending = 0;
  writes = 0;
  #receiver: TransportReceiver | undefined;
  readonly #answers = new Uint8Array(128 * MESSAGES);
  #length = 0;
  readonly #deliver = (): void => {
    for (let at = 0; at < this.#length;) {
      const space = this.#receiver!.allocate();
      const length = Math.min(space.length, this.#length - at);
      for (let i = 0; i < length; i++) space[i] = this.#answers[at + i]!;
      at += length;
      this.#receiver!.onRead(length);
    }
    this.#length = 0;
  };

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
  }

  /** Sends one message for each Packet Identifier. */
  send(messages: Uint8Array): void {
    this.#answers.set(messages, this.#length);
    this.#length += messages.length;
    setImmediate(this.#deliver);
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    this.writes++;
    const before = this.#length;
    for (let at = 0; at < bytes.length; at += 2 + bytes[at + 1]!) this.#packet(bytes, at);
    written(bytes);
    if (before === 0 && this.#length > 0) setImmediate(this.#deliver);
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.#receiver?.onClose();
  }

  destroy(): void {
    this.#receiver?.onClose();
  }

  #packet(bytes: Uint8Array, at: number): void {
    const type = bytes[at]! >> 4;
    const qos = (bytes[at]! >> 1) & 3;
    if (type === 1) this.#answer(version === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]);
    else if (type === 3 && qos > 0) this.#acknowledge(qos === 1 ? 0x40 : 0x50, bytes, at + 4 + TOPIC.length);
    else if (type === 5) this.#acknowledge(0x62, bytes, at + 2);
    else if (type === 6) this.#acknowledge(0x70, bytes, at + 2);
    else if (type === 8) this.#answer(suback(bytes, at));
  }

  #acknowledge(header: number, bytes: Uint8Array, packetIdAt: number): void {
    const at = this.#length;
    this.#answers[at] = header;
    this.#answers[at + 1] = 2;
    this.#answers[at + 2] = bytes[packetIdAt]!;
    this.#answers[at + 3] = bytes[packetIdAt + 1]!;
    this.#length += 4;
  }

  #answer(answer: readonly number[]): void {
    this.#answers.set(answer, this.#length);
    this.#length += answer.length;
  }
}

/** SUBACK for a SUBSCRIBE with one Topic Filter. */
function suback(bytes: Uint8Array, at: number): number[] {
  const granted = bytes[at + 1 + bytes[at + 1]!]! & 3;
  const rest = version === 5 ? [0, granted] : [granted];
  return [0x90, 2 + rest.length, bytes[at + 2]!, bytes[at + 3]!, ...rest];
}

/** `MESSAGES` packets with the identifiers 1, 2, 3 … */
function publishes(qos: QoS): Uint8Array {
  const topic = new TextEncoder().encode(TOPIC);
  return Uint8Array.from(
    Array.from({ length: MESSAGES }, (_, i) => {
      const id = qos === 0 ? [] : [(i + 1) >> 8, (i + 1) & 0xff];
      const body = [0, topic.length, ...topic, ...id, ...(version === 5 ? [0] : []), ...PAYLOAD];
      return [0x30 | (qos << 1), body.length, ...body];
    }).flat(),
  );
}

const server = new Server();
const client = await connect('mqtt://memory', {
  protocolVersion: version,
  maxInflight: 0,
  keepAlive: 0,
  receiveMaximum: 2 * MESSAGES,
  transport: () => Promise.resolve(server),
});

async function publish(options: { readonly qos: QoS }): Promise<void> {
  let last: Promise<unknown> | undefined;
  for (let i = 0; i < MESSAGES; i++) last = client.publish(TOPIC, PAYLOAD, options);
  await last;
  // What the last turn has left to write belongs to it.
  await new Promise(setImmediate);
}

let received = 0;
let onAll = (): void => {};

async function consume(): Promise<void> {
  for await (const { payload } of client.subscribe(TOPIC, { qos: 2 }))
    if (payload.length > 0 && ++received % MESSAGES === 0) onAll();
}

async function receive(messages: Uint8Array): Promise<void> {
  const all = new Promise<void>((resolve) => (onAll = resolve));
  server.send(messages);
  await all;
  // The acknowledgements of QoS 2 take two more turns.
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
}

/** Prints the median: sometimes the compiler allocates too. */
async function measure(name: string, run: () => Promise<void>): Promise<void> {
  for (let i = 0; i < WARM_UPS; i++) await run();
  const figures: number[] = [];
  const writes = server.writes;
  for (let i = 0; i < MEASUREMENTS; i++) {
    // A full collection would also discard optimised code, whose compilation allocates.
    globalThis.gc!({ type: 'minor' });
    const before = process.memoryUsage().heapUsed;
    await run();
    figures.push((process.memoryUsage().heapUsed - before) / MESSAGES);
  }
  figures.sort((one, other) => one - other);
  const median = Math.round(figures[MEASUREMENTS >> 1]!);
  console.log(`${name}: ${median}, ${((server.writes - writes) / MEASUREMENTS).toFixed(2)} writes`);
}

for (const qos of [0, 1, 2] as const) {
  const options = { qos };
  await measure(`publish qos ${qos}`, () => publish(options));
}
void consume();
for (const qos of [0, 1, 2] as const) {
  const messages = publishes(qos);
  await measure(`receive qos ${qos}`, () => receive(messages));
}
await client.disconnect();
