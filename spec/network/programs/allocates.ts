/**
 * allocates VERSION: publishes with each QoS over a connection in memory. Prints how many bytes of heap the client allocates
 * for each message, garbage included: `qos 0: BYTES`. Needs --expose-gc.
 */
import { connect, type QoS } from '../../../lib/index.ts';
import type { Transport, TransportReceiver } from '../../../lib/transport/transport.ts';

/** Messages between two measurements. What they allocate fits into the young generation, so nothing is collected meanwhile. */
const MESSAGES = 1_000;
const WARM_UPS = 200;
const MEASUREMENTS = 41;

const TOPIC = 'site/7/line/3/temperature';
const PAYLOAD = new Uint8Array(64);

const version = process.argv[2] === '5' ? 5 : 4;

/** The server: it acknowledges everything in the next turn, and allocates nothing per packet. All packets are short. */
class Acknowledging implements Transport {
  readonly bytesPending = 0;
  #receiver: TransportReceiver | undefined;
  readonly #answers = new Uint8Array(4 * MESSAGES);
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

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
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
    else if (type === 6) this.#acknowledge(0x70, bytes, at + 2);
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

const client = await connect('mqtt://memory', {
  protocolVersion: version,
  maxInflight: 0,
  keepAlive: 0,
  transport: () => Promise.resolve(new Acknowledging()),
});

async function publish(options: { readonly qos: QoS }): Promise<void> {
  let last: Promise<unknown> | undefined;
  for (let i = 0; i < MESSAGES; i++) last = client.publish(TOPIC, PAYLOAD, options);
  await last;
}

async function allocated(options: { readonly qos: QoS }): Promise<number> {
  // A full collection would also discard optimised code, whose compilation allocates.
  globalThis.gc!({ type: 'minor' });
  const before = process.memoryUsage().heapUsed;
  await publish(options);
  return (process.memoryUsage().heapUsed - before) / MESSAGES;
}

for (const qos of [0, 1, 2] as const) {
  const options = { qos };
  for (let i = 0; i < WARM_UPS; i++) await publish(options);
  const figures: number[] = [];
  for (let i = 0; i < MEASUREMENTS; i++) figures.push(await allocated(options));
  figures.sort((one, other) => one - other);
  // Sometimes the compiler allocates too.
  console.log(`qos ${qos}: ${Math.round(figures[MEASUREMENTS >> 1]!)}`);
}
await client.disconnect();
