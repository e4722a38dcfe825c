import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Dialer, type DialerHost } from '../../../lib/client/runtime/dialer.ts';
import { EventQueue } from '../../../lib/client/runtime/event-queue.ts';
import { GracefulClose } from '../../../lib/client/runtime/graceful-close.ts';
import { Link, type LinkHost } from '../../../lib/client/runtime/link.ts';
import { allocate, Slabs } from '../../../lib/client/runtime/memory.ts';
import { MAX_WHILE_PAUSED, NetworkReader } from '../../../lib/client/runtime/network-reader.ts';
import { encode } from '../../../lib/codec/codec.ts';
import { SLAB_SIZE } from '../../../lib/connection/outbox.ts';
import type { ReadResult } from '../../../lib/engine/options.ts';
import { ConnectError } from '../../../lib/errors.ts';
import type { DialContext, Transport } from '../../../lib/transport/transport.ts';
import { online } from '../../support/engines.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('an attempt', () => {
  function rig(over: Partial<DialerHost> = {}) {
    const ends: unknown[] = [];
    const passages: DialContext[] = [];
    const transport = { destroy: () => ends.push('destroyed') } as unknown as Transport;
    const events = new EventQueue();
    const dialing = new Dialer(
      {
        protocolVersion: 5,
        prepare: async (context) => {
          passages.push(context);
          return { credentials: {}, dial: async () => transport };
        },
        gracefulClose: () => Promise.resolve(),
        opened: (opened) => ends.push(opened),
        failed: (error) => ends.push(error),
        ...over,
      },
      events,
    );
    return { dialing, ends, events, passages, transport };
  }

  it('knows its number, its reason and the signal that ends it', async () => {
    const { dialing, ends, events, passages, transport } = rig();
    const reason = new ConnectError('dial', 'x');
    events.enter();
    dialing.begin(3, reason);
    expect(passages).toEqual([]);
    events.leave();
    await turn();
    expect(passages).toMatchObject([{ attempt: 3, reason, protocolVersion: 5 }]);
    expect(passages[0]?.signal.aborted).toBe(false);
    expect(ends).toEqual([transport]);
  });

  it('reports its phase until the next attempt begins', async () => {
    const { dialing, passages } = rig({ gracefulClose: () => new Promise(() => {}) });
    dialing.begin(0, undefined);
    expect(dialing.phase).toBe('credentials');
    await turn();
    expect(dialing.phase).toBe('dial');
    passages[0]?.onPhase('tls');
    expect(dialing.phase).toBe('tls');
    dialing.begin(1, undefined);
    passages[0]?.onPhase('websocket');
    expect(dialing.phase).toBe('credentials');
    dialing.abandon();
  });

  it('fails in its phase, unless the error names another', async () => {
    const { dialing, ends } = rig({
      prepare: async (context) => ({
        credentials: {},
        dial() {
          context.onPhase('websocket');
          throw new Error('rain');
        },
      }),
    });
    dialing.begin(0, undefined);
    await turn();
    expect(ends).toMatchObject([
      { phase: 'websocket', message: 'no connection: rain', cause: { message: 'rain' } },
    ]);
    const known = new ConnectError('tls', 'expired');
    const other = rig({ prepare: () => Promise.reject(known) });
    other.dialing.begin(0, undefined);
    await turn();
    expect(other.ends).toEqual([known]);
  });

  it('that was given up destroys its transport, and reports nothing', async () => {
    let open: (transport: Transport) => void = () => {};
    const opening = new Promise<Transport>((resolve) => (open = resolve));
    const { dialing, ends, transport } = rig({
      prepare: async () => ({ credentials: {}, dial: () => opening }),
    });
    dialing.begin(0, undefined);
    await turn();
    dialing.abandon();
    open(transport);
    await turn();
    expect(ends).toEqual(['destroyed']);
    const left = rig();
    left.events.enter();
    left.dialing.begin(0, undefined);
    left.dialing.abandon();
    left.events.leave();
    await turn();
    expect([left.passages, left.ends]).toEqual([[], []]);
    const failing = rig({ prepare: () => Promise.reject(new Error('late')) });
    failing.dialing.begin(0, undefined);
    failing.dialing.abandon();
    await turn();
    expect(failing.ends).toEqual([]);
  });
});

describe('a link', () => {
  function rig() {
    const log: string[] = [];
    const { engine, ...server } = online();
    const events = new EventQueue();
    const report = (what: string) => () => void log.push(what);
    const transport: Transport = {
      bytesPending: 0,
      open() {},
      write: (bytes, written) => {
        log.push(`write ${bytes.length}`);
        written(bytes);
      },
      pause: report('pause'),
      resume: report('resume'),
      end: report('end'),
      destroy: report('destroy'),
    };
    const host: LinkHost = {
      take: () => (log.push('take'), 'all'),
      mayRead: () => true,
      overrun: report('overrun'),
      drained: report('drained'),
      flushedLater: report('flushed later'),
      lost: (error, isBehind) => void log.push(`lost ${String(error)} ${isBehind}`),
    };
    const link = new Link(transport, engine, events, new FakeClock(), host);
    return { log, link, events, transport, server };
  }

  const PUBLISH = encode({ type: 'publish', topic: 'a', payload: new Uint8Array(2) }, 5);

  it('reports what its transport brings, and its end', () => {
    const { log, link } = rig();
    link.onData(PUBLISH);
    link.allocate().set(PUBLISH);
    link.onRead(PUBLISH.length);
    link.onDrain();
    link.onClose('gone');
    expect(log).toEqual(['take', 'take', 'drained', 'lost gone false']);
  });

  it('ends the connection after all output, once it is told to finish', () => {
    const { log, link } = rig();
    link.write();
    expect(log).toEqual([]);
    link.finish();
    link.write();
    expect(log).toEqual(['end']);
  });

  it('that is detached writes the rest when the engine has returned, and reports nothing but its close', () => {
    const { log, link, events } = rig();
    events.enter();
    link.detach([new Uint8Array(3)], () => void log.push('closed'));
    expect(log).toEqual([]);
    events.leave();
    expect(log).toEqual(['write 3']);
    link.onData(PUBLISH);
    link.onRead(link.allocate().length);
    link.onDrain();
    link.onClose();
    expect(log).toEqual(['write 3', 'closed']);
  });

  it('destroys a transport that is faulty, as that would not close by itself', () => {
    const { log, link } = rig();
    link.fail(new Error('rain'));
    expect(log).toEqual(['lost Error: rain false', 'destroy']);
  });
});

describe('input of a transport', () => {
  /** A reader whose takes come to what `results` says, and a log of what it did. */
  function rig(...results: ReadResult[]) {
    const log: string[] = [];
    const room = { mayRead: false };
    const transport = {
      pause: () => void log.push('pause'),
      resume: () => void log.push('resume'),
    } as unknown as Transport;
    const reader = new NetworkReader(transport, {
      take: () => {
        const result = results.shift() ?? 'all';
        log.push(`take: ${result}`);
        return result;
      },
      mayRead: () => room.mayRead,
      overrun: ({ message }) => {
        log.push(message);
        reader.close();
      },
    });
    return { log, room, reader };
  }

  it('is taken at once while all of it is used', () => {
    const { log, reader } = rig();
    reader.arrived(1);
    reader.arrived(1);
    expect(log).toEqual(['take: all', 'take: all']);
  });

  it('waits for one turn of the event loop if the application is to act first, and so does later input', async () => {
    const { log, reader } = rig('turn', 'turn', 'all');
    reader.arrived(1);
    reader.arrived(1);
    expect([log, reader.isStopped]).toEqual([['take: turn', 'pause'], false]);
    await turn();
    await turn();
    await turn();
    expect(log.slice(2)).toEqual(['take: turn', 'take: all', 'resume']);
  });

  it('waits until there is room if reading has stopped', async () => {
    const { log, room, reader } = rig('stop', 'all');
    reader.arrived(1);
    reader.arrived(1);
    reader.resumeIfRoom();
    await turn();
    expect([log, reader.isStopped]).toEqual([['take: stop', 'pause'], true]);
    room.mayRead = true;
    reader.resumeIfRoom();
    reader.resumeIfRoom();
    expect(reader.isStopped).toBe(false);
    await turn();
    await turn();
    expect(log.slice(2)).toEqual(['take: all', 'resume']);
  });

  it('does not wait if there is room again after it was taken', async () => {
    const { log, room, reader } = rig('stop');
    room.mayRead = true;
    reader.arrived(1);
    await turn();
    await turn();
    expect(log).toEqual(['take: stop', 'pause', 'take: all', 'resume']);
  });

  it('is refused if a paused transport brings more than a transport that stops would', async () => {
    const { log, room, reader } = rig('stop', 'all', 'stop');
    reader.arrived(MAX_WHILE_PAUSED);
    reader.arrived(MAX_WHILE_PAUSED);
    room.mayRead = true;
    reader.resumeIfRoom();
    await turn();
    await turn();
    // All that waited was taken.
    room.mayRead = false;
    reader.arrived(1);
    reader.arrived(MAX_WHILE_PAUSED);
    const { length } = log;
    reader.arrived(1);
    reader.arrived(1);
    expect(log.slice(length)).toEqual(['transport: it has brought more than 128 MiB after pause()']);
  });

  it('is discarded when the connection is over, and close() says so', async () => {
    for (const [result, isBehind] of [
      ['all', false],
      ['turn', true],
      ['stop', true],
    ] as const) {
      const { log, reader } = rig(result);
      reader.arrived(1);
      const { length } = log;
      expect(reader.close()).toBe(isBehind);
      reader.arrived(1);
      reader.resumeIfRoom();
      await turn();
      await turn();
      expect(log).toHaveLength(length);
    }
  });
});

describe('a graceful close', () => {
  function rig() {
    const log: string[] = [];
    const clock = new FakeClock();
    const transport = Object.fromEntries(
      ['resume', 'end', 'destroy'].map((verb) => [verb, () => void log.push(verb)]),
    ) as unknown as Transport;
    const close = new GracefulClose(transport, clock, () => void log.push('closed'));
    void close.over.then(() => log.push('over'));
    close.begin();
    return { log, clock, close };
  }

  it('reads until the server has closed', async () => {
    const { log, clock, close } = rig();
    expect(log).toEqual(['resume', 'end']);
    close.closed();
    close.closed();
    await close.over;
    expect([log.slice(2), clock.armed]).toEqual([['closed', 'over'], 0]);
  });

  it('destroys a connection that the server does not close within a second', async () => {
    const { log, clock, close } = rig();
    await clock.advance(999);
    expect(log).toEqual(['resume', 'end']);
    await clock.advance(1);
    close.closed();
    await close.over;
    expect(log.slice(2)).toEqual(['destroy', 'closed', 'over']);
  });
});

/** Whether somebody can have `bytes` transferred to himself. Some versions of Node throw, some copy. */
function takenAway(bytes: Uint8Array): boolean {
  try {
    structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
  } catch (error) {
    expect((error as Error).name).toBe('DataCloneError');
  }
  return bytes.byteLength === 0;
}

describe('memory to read into', () => {
  it('has the requested size, shares no memory, and cannot be transferred', () => {
    const bytes = allocate(1_000);
    expect([bytes.length, bytes.byteOffset, bytes.buffer.byteLength]).toEqual([1_000, 0, 1_000]);
    expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
    const ordinary = new Uint8Array(1_000);
    expect([takenAway(ordinary), takenAway(bytes)]).toEqual([true, false]);
  });
});

describe('slabs', () => {
  it('have their full size, and are used again after the network has written them', () => {
    const slabs = new Slabs();
    const slab = slabs.take();
    expect(slab.length).toBe(SLAB_SIZE);
    expect(slabs.take().buffer).not.toBe(slab.buffer);
    slabs.give(slab.subarray(0, 5));
    const again = slabs.take();
    expect(again.buffer).toBe(slab.buffer);
    expect(again.length).toBe(SLAB_SIZE);
  });

  it('are never made of other memory, of any size', () => {
    const slabs = new Slabs();
    const users = new Uint8Array(SLAB_SIZE);
    slabs.give(users);
    slabs.give(users.subarray(0, 10));
    slabs.give(new Slabs().take());
    expect(slabs.take().buffer).not.toBe(users.buffer);
  });

  it('are kept in a small number only', () => {
    const slabs = new Slabs();
    const taken = Array.from({ length: 100 }, () => slabs.take());
    for (const slab of taken) slabs.give(slab);
    const known = new Set(taken.map((slab) => slab.buffer));
    const again = Array.from({ length: 100 }, () => slabs.take());
    expect(again.filter((slab) => known.has(slab.buffer))).toHaveLength(8);
    expect(new Set(again.map((slab) => slab.buffer)).size).toBe(100);
  });
});
