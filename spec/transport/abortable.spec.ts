import { getEventListeners, once } from 'node:events';
import { connect, Socket } from 'node:net';
import { describe, expect, it, jest } from '@jest/globals';
import { socketEvent, unlessAborted } from '../../lib/transport/abortable.ts';
import { endWithTest, held, listening } from '../support/endings.ts';

endWithTest();

describe('socketEvent()', () => {
  it('resolves when the socket emits the event, and leaves no listener behind', async () => {
    const { port } = await listening();
    const socket = held(connect(port, '127.0.0.1'));
    const before = socket.listenerCount('close');
    const { signal } = new AbortController();
    await socketEvent(socket, 'connect', signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect([socket.listenerCount('connect'), socket.listenerCount('close')]).toEqual([0, before]);
  });

  it('destroys the socket and rejects with the reason if the signal is aborted already', async () => {
    const { port } = await listening();
    const socket = connect(port, '127.0.0.1');
    const reason = new Error('no');
    await expect(socketEvent(socket, 'connect', AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(socket.destroyed).toBe(true);
  });

  it('rejects if the socket has closed already', async () => {
    const socket = new Socket();
    socket.destroy();
    await once(socket, 'close');
    await expect(socketEvent(socket, 'connect', new AbortController().signal)).rejects.toThrow(
      'the connection was closed',
    );
  });
});

describe('unlessAborted()', () => {
  it('settles as the promise does, and leaves no listener behind', async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(signal, async () => 7)).toBe(7);
    const error = new Error('no');
    await expect(unlessAborted(signal, () => Promise.reject(error))).rejects.toBe(error);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('does not start if the signal is aborted already', async () => {
    const start = jest.fn(() => Promise.resolve());
    const reason = new Error('no');
    await expect(unlessAborted(AbortSignal.abort(reason), start)).rejects.toBe(reason);
    expect(start).not.toHaveBeenCalled();
  });

  it('rejects with the reason as soon as the signal aborts', async () => {
    const aborting = new AbortController();
    const waiting = unlessAborted(aborting.signal, () => new Promise(() => {}));
    const reason = new Error('no');
    aborting.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});
