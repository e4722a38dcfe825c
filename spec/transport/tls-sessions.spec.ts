import { describe, expect, it } from '@jest/globals';
import { Sessions, type Ticket } from '../../lib/transport/tls-material.ts';

const ticket = (text: string, validUntil = Infinity): Ticket =>
  ({ session: Buffer.from(text), validUntil, certificate: {} }) as Ticket;

describe('Sessions', () => {
  it('returns the latest session of a server, once', () => {
    const sessions = new Sessions();
    sessions.store('a', ticket('1'));
    sessions.store('b', ticket('2'));
    sessions.store('a', ticket('3'));
    expect(sessions.take('a')?.session.toString()).toBe('3');
    expect(sessions.take('a')).toBeUndefined();
    expect(sessions.take('b')?.session.toString()).toBe('2');
  });

  it('returns none of a server whose certificates have expired', () => {
    const sessions = new Sessions();
    sessions.store('a', ticket('1', Date.now() - 1));
    sessions.store('b', ticket('2', Date.now() + 60_000));
    expect(sessions.take('a')).toBeUndefined();
    expect(sessions.take('b')).toBeDefined();
  });

  it('keeps those of 16 servers, and drops the one that was stored longest ago', () => {
    const sessions = new Sessions();
    for (let i = 0; i < 16; i++) sessions.store(`${i}`, ticket(`${i}`));
    sessions.store('0', ticket('again'));
    sessions.store('16', ticket('16'));
    expect(sessions.take('1')).toBeUndefined();
    expect(sessions.take('0')?.session.toString()).toBe('again');
    expect(sessions.take('2')).toBeDefined();
  });
});
