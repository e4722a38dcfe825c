import { SLAB_SIZE } from '../../connection/outbox.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Flushed, Transport, TransportReceiver } from '../../transport/transport.ts';
import type { Clock } from './clock.ts';
import type { EventQueue } from './event-queue.ts';
import { slabs } from './memory.ts';
import { NetworkReader, type ReaderHost } from './network-reader.ts';

/** Memory to read into after the link was detached, in bytes. */
const DISCARDED = 4_096;

/** What a link reports to its driver, as long as it is attached. */
export interface LinkHost extends ReaderHost {
  /** The transport has sent all that it held back. */
  drained(): void;
  /** Output that the transport held back was sent. */
  flushedLater(): void;
  /** The transport is closed. `isBehind`: some of what it brought was not read. */
  lost(error: unknown, isBehind: boolean): void;
}

/**
 * One Network Connection, between its transport and the engine. Once detached it reports nothing more: it reads and
 * discards, so that the transport sees the server close.
 */
export class Link implements TransportReceiver {
  readonly transport: Transport;
  readonly reader: NetworkReader;
  readonly #engine: Engine;
  readonly #events: EventQueue;
  readonly #clock: Clock;
  readonly #host: LinkHost;
  #state: 'attached' | 'detached' = 'attached';
  #afterOutput: 'go on' | 'end' = 'go on';
  #onClosed: () => void = () => {};

  constructor(transport: Transport, engine: Engine, events: EventQueue, clock: Clock, host: LinkHost) {
    this.transport = transport;
    this.reader = new NetworkReader(transport, host);
    this.#engine = engine;
    this.#events = events;
    this.#clock = clock;
    this.#host = host;
  }

  // --- for the transport ---------------------------------------------------------------------------------------

  allocate(): Uint8Array {
    return this.#isAttached ? this.#engine.allocate() : new Uint8Array(DISCARDED);
  }

  onRead(length: number): void {
    if (!this.#isAttached) return;
    this.#engine.onRead(length);
    this.reader.arrived(length);
  }

  onData(bytes: Uint8Array): void {
    if (!this.#isAttached) return;
    this.#engine.onData(bytes);
    this.reader.arrived(bytes.length);
  }

  onDrain(): void {
    if (this.#isAttached) this.#host.drained(); // fault: drain
  }

  onClose(error?: unknown): void {
    this.#onClosed();
    if (this.#isAttached) this.#host.lost(error, this.reader.close());
  }

  // --- for the driver ------------------------------------------------------------------------------------------

  /** Writes for as long as the network takes it at once. The rest waits for `onDrain()`. */
  write(): void {
    const now = this.#clock.now();
    this.#events.enter();
    try {
      this.#engine.flushRequests(now);
    } finally {
      this.#events.leave();
    }
    const isEnd = this.#afterOutput === 'end';
    const limit = isEnd ? Infinity : 0;
    while (this.#isAttached && this.transport.bytesPending <= limit) {
      const piece = this.#takeOutput(now);
      if (piece !== undefined) this.#send(piece, now);
      else if (!this.#pump(now)) break;
    }
    if (!isEnd || !this.#isAttached) return;
    this.#afterOutput = 'go on';
    this.transport.end();
  }

  /** Writes full slabs. The one that was just begun goes on being filled. */
  writeFull(): void {
    const now = this.#clock.now();
    while (this.#isAttached && this.#engine.outputSize >= SLAB_SIZE) {
      if (this.transport.bytesPending > 0) return;
      const piece = this.#takeOutput(now);
      if (piece === undefined) return;
      this.#send(piece, now);
    }
  }

  /** The next `write()` writes all of the output, then ends the connection. */
  finish(): void {
    this.#afterOutput = 'end';
  }

  /**
   * Reports nothing more, and writes `rest` when the engine has returned. `onClosed`: called when the transport is
   * closed.
   */
  detach(rest: readonly Uint8Array[] = [], onClosed: () => void = () => {}): void {
    this.#state = 'detached';
    this.#onClosed = onClosed;
    this.reader.close();
    if (rest.length === 0) return;
    this.#events.add(() => {
      for (const piece of rest) this.transport.write(piece, (written) => slabs.give(written));
    });
  }

  /** The transport is faulty, and would not report its close. */
  fail(error: Error): void {
    this.onClose(error);
    this.transport.destroy();
  }

  get #isAttached(): boolean {
    return this.#state === 'attached';
  }

  #takeOutput(now: number): Uint8Array | undefined {
    this.#events.enter();
    try {
      return this.#engine.takeOutput(now);
    } finally {
      this.#events.leave();
    }
  }

  #pump(now: number): boolean {
    this.#events.enter();
    try {
      return this.#engine.pump(now);
    } finally {
      this.#events.leave();
    }
  }

  #send(piece: Uint8Array, now: number): void {
    let call: 'running' | 'returned' = 'running'; // fault: slab
    this.transport.write(piece, (written, flushed?: Flushed) => {
      slabs.give(written);
      if (!this.#isAttached) return;
      const isLater = call === 'returned';
      const wasHeldBack = flushed === undefined ? isLater : flushed === 'later';
      this.#events.enter();
      try {
        this.#engine.flushed(written, wasHeldBack, isLater ? this.#clock.now() : now);
      } finally {
        this.#events.leave();
      }
      if (isLater) this.#host.flushedLater();
    });
    call = 'returned';
  }
}
