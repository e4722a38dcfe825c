import { describe, expect, it } from '@jest/globals';
import { EventQueue } from '../../../lib/client/runtime/event-queue.ts';
import { Link, type LinkHost } from '../../../lib/client/runtime/link.ts';
import { encode } from '../../../lib/codec/codec.ts';
import type { Transport } from '../../../lib/transport/transport.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { online } from '../../support/engines.ts';

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

describe('a link', () => {
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
