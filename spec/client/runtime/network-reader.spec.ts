import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { MAX_WHILE_PAUSED, NetworkReader } from '../../../lib/client/runtime/network-reader.ts';
import type { ReadResult } from '../../../lib/engine/options.ts';
import type { Transport } from '../../../lib/transport/transport.ts';

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

describe('what has arrived', () => {
  it('is taken at once while all of it is used', () => {
    const { log, reader } = rig();
    reader.arrived(1);
    reader.arrived(1);
    expect(log).toEqual(['take: all', 'take: all']);
  });

  it('waits for one turn where the application is to have it first, and so does what still comes', async () => {
    const { log, reader } = rig('turn', 'turn', 'all');
    reader.arrived(1);
    reader.arrived(1);
    expect([log, reader.isStopped]).toEqual([['take: turn', 'pause'], false]);
    await turn();
    await turn();
    await turn();
    expect(log.slice(2)).toEqual(['take: turn', 'take: all', 'resume']);
  });

  it('waits until there is room where reading has stopped', async () => {
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

  it('does not wait where room was made while it was taken', async () => {
    const { log, room, reader } = rig('stop');
    room.mayRead = true;
    reader.arrived(1);
    await turn();
    await turn();
    expect(log).toEqual(['take: stop', 'pause', 'take: all', 'resume']);
  });

  it('is refused once a paused transport has brought more than one that stops ever would', async () => {
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

  it('is left, and told of, when the connection is over', async () => {
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
