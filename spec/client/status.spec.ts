import { describe, expect, it } from '@jest/globals';
import { Status, type StatusEvent } from '../../lib/client/status.ts';
import { ConnectionLostError } from '../../lib/errors.ts';

const connecting = (attempt: number): StatusEvent => ({ type: 'connecting', attempt });
const closed: StatusEvent = { type: 'closed' };

async function all(events: AsyncIterable<StatusEvent>): Promise<StatusEvent[]> {
  const read: StatusEvent[] = [];
  for await (const event of events) read.push(event);
  return read;
}

describe('the status', () => {
  it('tells every reader every event from when it began to read, and ends after closed', async () => {
    const status = new Status();
    const early = all(status.read());
    status.report(connecting(0));
    const late = all(status.read());
    const lost = {
      type: 'disconnected',
      reason: new ConnectionLostError('lost'),
      willRetryIn: 5,
      flapping: false,
    } as const;
    status.report(lost);
    status.report(closed);
    await expect(early).resolves.toEqual([connecting(0), lost, closed]);
    await expect(late).resolves.toEqual([lost, closed]);
  });

  it('can be read later: what waits is read even after the end', async () => {
    const status = new Status();
    const reader = status.read();
    status.report(connecting(0));
    status.report(closed);
    await expect(all(reader)).resolves.toEqual([connecting(0), closed]);
  });

  it('costs nothing where nobody reads: only the newest events are kept', async () => {
    const status = new Status();
    const reader = status.read();
    for (let i = 0; i < 1_000; i++) status.report(connecting(i));
    status.report(closed);
    const kept = await all(reader);
    expect(kept).toHaveLength(256);
    expect([kept[0], kept.at(-1)]).toEqual([connecting(1_000 - 255), closed]);
  });

  it('is left by a loop that breaks, and by nobody else', async () => {
    const status = new Status();
    const staying = all(status.read());
    const read: StatusEvent[] = [];
    const leaving = (async () => {
      for await (const event of status.read()) {
        read.push(event);
        if (read.length === 2) break;
      }
    })();
    for (let i = 0; i < 3; i++) status.report(connecting(i));
    await leaving;
    status.report(connecting(3));
    status.report(closed);
    expect(read).toEqual([connecting(0), connecting(1)]);
    await expect(staying).resolves.toHaveLength(5);
  });

  it('answers those who ask ahead in their order, and ends for all of them', async () => {
    const status = new Status();
    const reader = status.read()[Symbol.asyncIterator]();
    const asked = [reader.next(), reader.next(), reader.next()];
    status.report(connecting(0));
    status.report(closed);
    await expect(Promise.all(asked)).resolves.toEqual([
      { value: connecting(0), done: false },
      { value: closed, done: false },
      { value: undefined, done: true },
    ]);
    await expect(reader.next()).resolves.toEqual({ value: undefined, done: true });
  });

  it('can be left while it is waited for: every next() that waits ends', async () => {
    const status = new Status();
    const staying = all(status.read());
    const [one, other] = [status.read()[Symbol.asyncIterator](), status.read()[Symbol.asyncIterator]()];
    const asked = [one.next(), one.next(), other.next()];
    const error = new Error('no more');
    await one.return?.();
    await expect(other.throw?.(error)).rejects.toBe(error);
    status.report(closed);
    const end = { value: undefined, done: true };
    await expect(Promise.all(asked)).resolves.toEqual([end, end, end]);
    await expect(Promise.all([one.next(), other.next()])).resolves.toEqual([end, end]);
    await expect(staying).resolves.toEqual([closed]);
  });

  it('of a client that is used again is another one', async () => {
    const status = new Status();
    const first = all(status.read());
    status.report(closed);
    const second = all(status.read());
    status.report(connecting(0));
    status.report(closed);
    await expect(first).resolves.toEqual([closed]);
    await expect(second).resolves.toEqual([connecting(0), closed]);
  });
});
