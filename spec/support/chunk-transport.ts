import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, ProtocolVersion } from '../../lib/codec/packets.ts';
import type { TransportReceiver, Transport } from '../../lib/transport/transport.ts';
import { answersTo } from './answers.ts';

/** What a transport does after `pause()`. */
export type Pausing = 'obeys' | 'ignores';

/**
 * A transport as an application may write one: it passes chunks of any size, each in separate memory. The server at
 * its other end answers every packet that has an answer.
 */
export class ChunkTransport implements Transport {
  readonly bytesPending = 0;
  /** All packets that the client sent, oldest first. */
  readonly packets: Packet[] = [];
  /** Whether it is paused. */
  isPaused = false;
  isClosed = false;
  readonly #version: ProtocolVersion;
  readonly #pausing: Pausing;
  readonly #decoder = new Decoder({ receiver: 'server' });
  readonly #waiting: Uint8Array[] = [];
  #receiver: TransportReceiver | undefined;

  constructor(version: ProtocolVersion = 4, pausing: Pausing = 'obeys') {
    this.#version = version;
    this.#pausing = pausing;
  }

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    this.#decoder.push(bytes.slice());
    written(bytes);
    for (let packet = this.#decoder.next(); packet !== undefined; packet = this.#decoder.next()) {
      this.packets.push(packet);
      const answers = answersTo(packet, this.#version);
      for (const answer of packet.type === 'connect' ? [{ type: 'connack' as const }] : answers)
        setImmediate(() => this.send(answer));
    }
  }

  /** The server sends packets, in one chunk. */
  send(...packets: readonly EncodablePacket[]): void {
    this.bring(Buffer.concat(packets.map((packet) => encode(packet, this.#version))));
  }

  /** Passes a chunk to the client. */
  bring(chunk: Uint8Array): void {
    if (this.isClosed) return;
    if (this.isPaused && this.#pausing === 'obeys') this.#waiting.push(chunk);
    else this.#receiver?.onData(chunk);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    while (!this.isPaused && this.#waiting.length > 0) this.#receiver?.onData(this.#waiting.shift()!);
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    setImmediate(() => this.#receiver?.onClose());
  }
}
