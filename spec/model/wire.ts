import type { TransportReceiver, Transport } from '../../lib/transport/transport.ts';

/** The server's end of a wire. */
export interface Peer {
  /** Bytes of the client, which it handed to the network at the time `written`. */
  receive(bytes: Uint8Array, written: number): void;
  closed(): void;
  /** Bytes of a killed client that the network had accepted, and never delivered. */
  lost(bytes: Uint8Array): void;
}

interface Held {
  bytes: Uint8Array;
  readonly at: number;
  readonly written: (bytes: Uint8Array) => void;
}

interface Coming {
  bytes: Uint8Array;
  /** Called right before the client receives the last byte. */
  readonly arrives: () => void;
}

/** Counts events, to know their order. */
export class Order {
  readonly #now: () => number;
  /** Of each event, in ms. */
  readonly #times: number[] = [];
  #last = 0;

  constructor(now: () => number = () => 0) {
    this.#now = now;
  }

  get now(): number {
    return this.#last;
  }

  next(): number {
    this.#times.push(this.#now());
    return ++this.#last;
  }

  /** When an event happened, in ms. */
  timeOf(event: number): number {
    return this.#times[event - 1] ?? 0;
  }
}

/**
 * A Network Connection in memory, without latency. Output beyond the room of the network is kept uncopied: writing to it
 * before it is returned corrupts what arrives.
 */
export class Wire implements Transport {
  readonly #order: Order;
  readonly #peer: Peer;
  #receiver: TransportReceiver | undefined;
  #held: Held[] = [];
  /** Bytes that the network has accepted and the server has not read. */
  #stuck: { readonly bytes: Uint8Array; readonly at: number }[] = [];
  #coming: Coming[] = [];
  #isPaused = false;
  #isDelivering = false;
  #phase: 'open' | 'ending' | 'closed' = 'open';
  /** Number of bytes from the client that the network still accepts. */
  #room = Infinity;
  /** Whether the room ends with the next bytes. */
  #isFirst = false;
  /** Whether the server neither reads nor writes. */
  #isFrozen = false;
  /** Whether the client may have had output that the network did not take at once. */
  wasPressed = false;
  /** Maximum bytes of one read. */
  chunk = Infinity;
  /** Whether it ended with output of the client that the server never received. */
  lostOutput = false;
  /** Whether the client may have closed with unread input. */
  lostInput = false;
  /** The client closes at once, for any reason. */
  onDestroy: () => void = () => {};
  /** The client resumes reading. */
  onResume: () => void = () => {};

  constructor(order: Order, peer: (wire: Wire) => Peer) {
    this.#order = order;
    this.#peer = peer(this);
  }

  get isOpen(): boolean {
    return this.#phase !== 'closed';
  }

  /** Whether more will arrive at the client without further events. */
  get isBusy(): boolean {
    return this.isOpen && this.#coming.length > 0 && !this.#isFrozen;
  }

  /** Whether the server has not received all output of the client. */
  get owes(): boolean {
    return this.#held.length > 0 || this.#stuck.length > 0;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  get isPressed(): boolean {
    return this.#room < Infinity;
  }

  // --- client side ---------------------------------------------------------------------------------------------

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    this.#deliverSoon();
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    if (this.#phase !== 'open') return written(bytes);
    const at = this.#order.next();
    if (bytes.length > this.#room || this.#held.length > 0) this.#held.push({ bytes, at, written });
    else {
      this.#room -= bytes.length;
      if (this.#isFirst) this.#room = 0;
      this.#isFirst = false;
      if (this.#isFrozen) this.#stuck.push({ bytes: bytes.slice(), at });
      else this.#peer.receive(bytes.slice(), at);
      written(bytes);
    }
  }

  pause(): void {
    this.#isPaused = true;
    this.lostInput = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.onResume();
    this.#deliverSoon();
  }

  get bytesPending(): number {
    return this.#held.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  end(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'ending';
    if (!this.owes) setImmediate(() => this.cut());
  }

  destroy(): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'open') this.onDestroy();
    this.#close();
    setImmediate(() => this.#receiver?.onClose());
  }

  // --- server and world ----------------------------------------------------------------------------------------

  /** The server writes. */
  send(bytes: Uint8Array, arrives: () => void = () => {}): void {
    if (this.#phase === 'closed') return;
    this.#coming.push({ bytes, arrives });
    this.#deliverSoon();
  }

  /** The network accepts the first bytes, and no others. */
  pressAfterConnect(): void {
    this.wasPressed = true;
    this.#isFirst = true;
  }

  /** The network accepts more bytes; without a limit also those it kept. */
  press(room: number): void {
    this.wasPressed ||= room < Infinity;
    this.#room = room;
    if (room < Infinity || this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const { bytes, at, written } of held) {
      if (this.#isFrozen) this.#stuck.push({ bytes: bytes.slice(), at });
      else this.#peer.receive(bytes.slice(), at);
      written(bytes);
    }
    if (this.#phase === 'open') this.#receiver?.onDrain();
    this.#endIfDue();
  }

  /** The server freezes or continues. */
  freeze(isFrozen: boolean): void {
    this.#isFrozen = isFrozen;
    if (isFrozen) return;
    for (const { bytes, at } of this.#stuck.splice(0)) this.#peer.receive(bytes, at);
    this.#deliverSoon();
    this.#endIfDue();
  }

  /** The connection ends. `in the middle`: of a packet, in both directions, if one is under way. */
  cut(where: 'between packets' | 'in the middle' = 'between packets', error?: unknown): void {
    if (this.#phase === 'closed') return;
    if (where === 'in the middle') {
      const [first] = this.#held;
      if (first !== undefined && !this.#isFrozen)
        this.#peer.receive(first.bytes.slice(0, first.bytes.length >> 1), first.at);
      const [next] = this.#coming;
      if (next !== undefined && !this.#isPaused) this.#read(next.bytes.subarray(0, next.bytes.length >> 1));
    }
    if (!this.isOpen) return;
    this.#close();
    this.#receiver?.onClose(error);
  }

  /** The process of the client is killed: nothing that it does from now on arrives anywhere. */
  abandon(): void {
    if (this.#phase === 'closed') return;
    this.#receiver = undefined;
    this.lostInput = true;
    for (const { bytes } of [...this.#stuck, ...this.#held]) this.#peer.lost(bytes);
    this.#close();
  }

  #endIfDue(): void {
    if (this.#phase === 'ending' && !this.owes) setImmediate(() => this.cut());
  }

  #close(): void {
    this.#phase = 'closed';
    this.lostOutput = this.owes;
    const held = this.#held;
    this.#held = [];
    this.#stuck = [];
    this.#coming = [];
    this.#peer.closed();
    for (const { bytes, written } of held) written(bytes);
  }

  #deliverSoon(): void {
    if (this.#isDelivering || this.#receiver === undefined || this.#coming.length === 0) return;
    this.#isDelivering = true;
    setImmediate(() => {
      this.#isDelivering = false;
      this.#deliver();
    });
  }

  /** Delivers bytes in as few reads as `chunk` allows. */
  #deliver(): void {
    while (this.#coming.length > 0 && this.isOpen && !this.#isPaused && !this.#isFrozen) {
      const parts: Uint8Array[] = [];
      let room = this.chunk;
      while (room > 0 && this.#coming.length > 0) {
        const next = this.#coming[0] as Coming;
        const length = Math.min(room, next.bytes.length);
        parts.push(next.bytes.subarray(0, length));
        room -= length;
        if (length < next.bytes.length) next.bytes = next.bytes.subarray(length);
        else {
          this.#coming.shift();
          if (this.#phase === 'open') next.arrives();
        }
      }
      this.#read(Buffer.concat(parts));
    }
  }

  #read(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0 && this.isOpen;) {
      const space = this.#receiver?.allocate() ?? new Uint8Array(0);
      const length = Math.min(space.length, rest.length);
      space.set(rest.subarray(0, length));
      rest = rest.subarray(length);
      this.#receiver?.onRead(length);
      if (rest.length > 0 && !this.isOpen) this.lostInput = true;
    }
  }
}
