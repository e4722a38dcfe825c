import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { ClientLogger, type Logger } from '../../lib/client/logger.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

function logger(write: (level: string, message: string, self: unknown) => unknown): Logger {
  const made: Record<string, unknown> = {};
  for (const level of LEVELS)
    made[level] = function (this: unknown, message: string) {
      return write(level, message, this);
    };
  return made as unknown as Logger;
}

describe('a log', () => {
  it('passes every line on at its level, to a logger that may need its this', () => {
    const lines: unknown[] = [];
    const users = logger((level, message, self) => lines.push([level, message, self === users]));
    const log = new ClientLogger(users);
    for (const level of LEVELS) log[level](`said ${level}`);
    expect(lines).toEqual(LEVELS.map((level) => [level, `said ${level}`, true]));
  });

  it('says nothing without a logger', () => {
    expect(() => new ClientLogger(undefined).error('nobody')).not.toThrow();
  });

  it('survives a logger that throws, now or later', async () => {
    const throwing = new ClientLogger(
      logger(() => {
        throw new Error('disk full');
      }),
    );
    const rejecting = new ClientLogger(logger(() => Promise.reject(new Error('disk full'))));
    for (const log of [throwing, rejecting]) for (const level of LEVELS) log[level]('x');
    // An unhandled rejection would fail this spec here.
    await turn();
    expect(throwing).toBeInstanceOf(ClientLogger);
  });
});
