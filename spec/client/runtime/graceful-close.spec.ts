import { describe, expect, it } from '@jest/globals';
import { GracefulClose } from '../../../lib/client/runtime/graceful-close.ts';
import type { Transport } from '../../../lib/transport/transport.ts';
import { FakeClock } from '../../support/fake-clock.ts';

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

describe('a graceful close', () => {
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
