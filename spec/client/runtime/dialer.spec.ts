import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Dialer, type DialerHost } from '../../../lib/client/runtime/dialer.ts';
import { EventQueue } from '../../../lib/client/runtime/event-queue.ts';
import { ConnectError } from '../../../lib/errors.ts';
import type { DialContext, Transport } from '../../../lib/transport/transport.ts';

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

describe('an attempt', () => {
  it('is told which one it is, why, and when it is given up', async () => {
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

  it('says how far it has come, and no other one does', async () => {
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

  it('fails in the phase it was in, unless whoever opens the connection knows better', async () => {
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

  it('that was given up destroys what it had opened, and is not heard of', async () => {
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
