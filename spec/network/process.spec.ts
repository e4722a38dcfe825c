import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type LocalBroker, startAedes } from '../support/aedes.ts';
import { leakGuard } from '../support/leaks.ts';
import { freePort } from '../support/ports.ts';
import { endPrograms, startProgram } from './children.ts';

/*
 * Programs end when their work is done: the client keeps no process alive. No program calls process.exit().
 */

const LONG = 60_000;

let broker: LocalBroker;
let published: string[];

beforeEach(async () => {
  broker = await startAedes();
  published = [];
  broker.aedes.on('publish', ({ topic, payload }) => {
    if (topic.startsWith('spec/')) published.push(payload.toString());
  });
});

afterEach(async () => {
  await endPrograms();
  await broker.close();
});

leakGuard();

describe('a program', () => {
  it(
    'that connects, publishes and disconnects ends by itself',
    async () => {
      const { code, lines, complaint } = await startProgram('publishes-and-disconnects', broker.url).ended;
      expect({ code, lines, complaint }).toEqual({ code: 0, lines: ['done'], complaint: '' });
      expect(published).toEqual(['published']);
    },
    LONG,
  );

  it(
    'ends when its client goes out of scope with an open subscription',
    async () => {
      const { code, lines, complaint } = await startProgram('leaves-its-scope', broker.url).ended;
      expect({ code, lines, complaint }).toEqual({ code: 0, lines: ['published', 'done'], complaint: '' });
    },
    LONG,
  );

  it(
    'that finds no server ends with an error that can be caught',
    async () => {
      const url = `mqtt://127.0.0.1:${await freePort()}`;
      const { code, lines, complaint } = await startProgram('never-connects', url).ended;
      expect({ code, lines, complaint }).toEqual({ code: 0, lines: ['ConnectError'], complaint: '' });
    },
    LONG,
  );

  it(
    'that passes one signal to many calls causes no leak warning',
    async () => {
      const { code, lines, complaint } = await startProgram('one-signal', broker.url).ended;
      expect({ code, lines, complaint }).toEqual({ code: 0, lines: ['20'], complaint: '' });
    },
    LONG,
  );

  it(
    'that transfers payloads away too early loses those messages and continues',
    async () => {
      const { code, lines, complaint } = await startProgram('takes-payloads-back', broker.url).ended;
      // Payloads up to 16 KiB are copied by publish().
      const small = Array.from({ length: 3 }, () => 'published');
      const large = Array.from({ length: 9 }, () => 'not-sent');
      expect({ code, lines, complaint }).toEqual({
        code: 0,
        lines: [...small, ...large, '0'],
        complaint: '',
      });
      expect(published).toEqual(['published']);
    },
    LONG,
  );

  it(
    'that throws in its loop ends with its own error',
    async () => {
      const { code, complaint } = await startProgram('breaks-off', broker.url).ended;
      expect(code).toBe(1);
      expect(complaint).toContain('a mistake with published');
    },
    LONG,
  );
});
