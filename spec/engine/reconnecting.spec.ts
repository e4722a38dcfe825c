import { describe, expect, it } from '@jest/globals';
import { NO_PROPERTIES } from '../../lib/codec/packets.ts';
import {
  connackCodeName,
  connackError,
  connackVerdict,
  disconnectError,
  disconnectVerdict,
  lostError,
  noServerError,
  sendableCode,
  suspicionOfCode,
  suspicionOfLoss,
} from '../../lib/engine/connect-errors.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ConnectError, type ConnectionLostError, ProtocolError, shown } from '../../lib/errors.ts';
import { brief, offline, online } from '../support/engines.ts';
import { connack, disconnect } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

const failure = new ConnectError('dial', 'ECONNREFUSED');

function delays(rig: Rig, attempts: number): number[] {
  return Array.from({ length: attempts }, () => {
    rig.engine.dialFailed(failure, rig.now);
    const { willRetryIn } = rig.effects.last('disconnected');
    expect(rig.engine.nextTimeout()).toBe(rig.now + willRetryIn);
    rig.advance(willRetryIn);
    expect(rig.engine.state).toBe('dialing');
    return willRetryIn;
  });
}

function refused(rig: Rig, reasonCode: number): void {
  rig.open();
  rig.send(connack({ reasonCode }));
}

/** One that is dialing again, having been accepted once. */
function redialing(options: Partial<EngineOptions> = {}): Rig {
  const rig = online(options);
  rig.engine.lost(undefined, rig.now);
  rig.advance(1_000);
  rig.effects.take();
  return rig;
}

describe('a planned reconnect', () => {
  it('tells of large QoS 0 that the old connection may still be writing once that is closed, not before', () => {
    const rig = online();
    const { waiter } = rig.publish('a', { qos: 0, payload: new Uint8Array(20_000) });
    const pieces = [rig.engine.takeOutput(rig.now), rig.engine.takeOutput(rig.now)];
    expect(pieces.map((piece) => piece?.length)).toContain(20_000);
    rig.engine.reconnect(rig.now);
    expect(waiter.told).toBe(0);
    rig.disconnect();
    expect(waiter.told).toBe(0);
    rig.engine.closedGracefully();
    expect(waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
  });
});

describe('after a connection was lost', () => {
  it('dials again after the delay, with the number of the attempt', () => {
    const rig = online();
    const cause = new Error('ECONNRESET');
    rig.engine.lost(cause, rig.now);
    expect(rig.effects.take()).toEqual(['changed: disconnected']);
    expect(rig.effects.last('disconnected')).toMatchObject({ error: { cause }, willRetryIn: 1_000 });
    rig.advance(999);
    expect(rig.effects.take()).toEqual([]);
    rig.advance(1);
    expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 1']);
  });

  it('peers P16 delays go from minDelay to maxDelay', () => {
    const rig = redialing({ reconnect: { minDelay: 100, maxDelay: 1_000, factor: 2, jitter: 0 } });
    expect(delays(rig, 5)).toEqual([200, 400, 800, 1_000, 1_000]);
  });

  it('and go back to minDelay with CONNACK, not with the Network Connection', () => {
    const rig = redialing();
    delays(rig, 3);
    rig.open();
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(16_000);
    rig.advance(16_000);
    rig.open();
    rig.send(connack());
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(1_000);
  });

  it.each([
    [0, 800],
    [0.5, 1_000],
    [0.999_999, 1_200],
  ])('take jitter from chance: %p makes %p', (random, delay) => {
    const rig = online({ reconnect: { minDelay: 1_000, maxDelay: 5_000, factor: 2, jitter: 0.2 } });
    rig.random = random;
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.last('disconnected').willRetryIn).toBeCloseTo(delay, 0);
  });

  it('ends where reconnect is false', () => {
    const rig = online({ reconnect: false });
    const { waiter } = rig.publish('a');
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.take()).toEqual(['changed: closed']);
    expect(rig.engine.state).toBe('closed');
    expect(waiter.error).toMatchObject({ name: 'ClosedError', delivery: 'unknown', kept: true });
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });
});

describe('a first attempt that fails', () => {
  it('is given up', () => {
    const rig = offline();
    rig.engine.connect('give up', rig.now);
    rig.engine.dialFailed(failure, rig.now);
    expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 0', 'changed: gaveUp']);
    expect(rig.effects.last('gaveUp').error).toBe(failure);
    expect(rig.engine.state).toBe('offline');
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('is retried where that was asked for', () => {
    const rig = offline();
    rig.engine.connect('retry', rig.now);
    expect(delays(rig, 3)).toEqual([1_000, 2_000, 4_000]);
  });

  it('is given up where reconnect is false as well', () => {
    const rig = offline({ reconnect: false });
    rig.engine.connect('give up', rig.now);
    rig.engine.dialFailed(failure, rig.now);
    expect(rig.engine.state).toBe('offline');
  });
});

describe('refusals', () => {
  it.each([0x81, 0x82, 0x84, 0x85, 0x8a, 0x8c, 0x90, 0x95, 0x99, 0x9a, 0x9b])(
    'v5 MQTT-3.1.3-8, MQTT-3.2.2-12, -13, MQTT-4.12.0-1 CONNACK %d is final, when reconnecting too',
    (reasonCode) => {
      const rig = redialing();
      const waiter = rig.ask('subscribe', 'a');
      refused(rig, reasonCode);
      expect(rig.effects.take()).toEqual(['hang up', 'changed: closed']);
      expect(waiter.error).toMatchObject({ name: 'ClosedError', cause: { reasonCode } });
    },
  );

  it.each([0x80, 0x83, 0x88, 0x9c, 0x9d])('v5 CONNACK %d is retried after the usual delay', (reasonCode) => {
    const rig = redialing();
    refused(rig, reasonCode);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(2_000);
  });

  it.each([0x89, 0x97, 0x9f])('v5 CONNACK %d is retried with patience', (reasonCode) => {
    const rig = redialing();
    refused(rig, reasonCode);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(30_000);
  });

  it.each([
    [5, 0x86],
    [5, 0x87],
    [4, 4],
    [3, 5],
  ] as const)(
    'v%d CONNACK %d is final for credentials never accepted, else retried with patience',
    (protocolVersion, reasonCode) => {
      const rig = offline({ protocolVersion });
      rig.engine.connect('retry', rig.now);
      refused(rig, reasonCode);
      expect(rig.engine.state).toBe('closed');
      const again = redialing({ protocolVersion });
      refused(again, reasonCode);
      expect(again.effects.last('disconnected').willRetryIn).toBe(30_000);
      const fresh = offline({ protocolVersion, credentialsVary: true });
      fresh.engine.connect('retry', fresh.now);
      refused(fresh, reasonCode);
      expect(fresh.engine.state).toBe('waiting');
    },
  );

  it('v4 MQTT-3.1.3-8, -9 return codes 1 and 2 are final, 3 is not', () => {
    for (const [reasonCode, state] of [
      [1, 'closed'],
      [2, 'closed'],
      [3, 'waiting'],
    ] as const) {
      const rig = redialing({ protocolVersion: 4 });
      refused(rig, reasonCode);
      expect(rig.engine.state).toBe(state);
    }
  });
});

describe('DISCONNECT of the server', () => {
  it('v5 MQTT-3.1.4-3, peers P17 Session taken over ends the client', () => {
    const rig = online();
    rig.send(disconnect(0x8e));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: closed']);
    expect(rig.effects.last('closed').error).toMatchObject({ reasonCode: 0x8e });
  });

  it('v5 U-3.14.4-a is not answered, and its code is reported', () => {
    const rig = online();
    rig.send(disconnect(0x8b, { reasonString: 'tea' }));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
    expect(rig.rest()).toEqual([]);
    const { error, willRetryIn } = rig.effects.last('disconnected');
    expect(error).toMatchObject({ reasonCode: 0x8b, message: expect.stringContaining('tea') });
    expect(willRetryIn).toBe(1_000);
  });

  it.each([0x89, 0x97, 0x9f])('v5 %d is retried with patience', (reasonCode) => {
    const rig = online();
    rig.send(disconnect(reasonCode));
    expect(rig.effects.last('disconnected').willRetryIn).toBe(30_000);
  });

  it('v4 MQTT-3.14.1-1 is a breach on 3.1.1', () => {
    const rig = online({ protocolVersion: 4 });
    rig.send(disconnect());
    expect(rig.effects.last('disconnected').error).toMatchObject({ name: 'ProtocolError' });
    expect(brief(rig.rest())).toEqual([]);
  });

  it('bytes after it are not read', () => {
    const rig = online();
    rig.send(disconnect(0x8b), { type: 'publish', topic: 'a', payload: new Uint8Array() });
    expect(rig.effects.delivered).toEqual([]);
  });
});

describe('the verdict on a Reason Code', () => {
  it('of CONNACK on 5.0', () => {
    const verdicts = (codes: number[]) => new Set(codes.map((code) => connackVerdict(code, 5, true)));
    expect(verdicts([0x81, 0x82, 0x84, 0x85, 0x8a, 0x8c, 0x90, 0x95, 0x99, 0x9a, 0x9b])).toEqual(
      new Set(['final']),
    );
    expect(verdicts([0x86, 0x87, 0x89, 0x97, 0x9f])).toEqual(new Set(['patient']));
    expect(verdicts([0x80, 0x83, 0x88, 0x9c, 0x9d])).toEqual(new Set(['normal']));
    expect([0x86, 0x87].map((code) => connackVerdict(code, 5, false))).toEqual(['final', 'final']);
  });

  it.each([3, 4] as const)('of CONNACK on version %d', (version) => {
    expect([1, 2, 3, 4, 5].map((code) => connackVerdict(code, version, false))).toEqual([
      'final',
      'final',
      'normal',
      'final',
      'final',
    ]);
    expect([4, 5].map((code) => connackVerdict(code, version, true))).toEqual(['patient', 'patient']);
  });

  it('v5 MQTT-3.1.4-3 of DISCONNECT', () => {
    expect(disconnectVerdict(0x8e)).toBe('final');
    expect([0x89, 0x97, 0x9f, 0x87].map((code) => disconnectVerdict(code))).toEqual(Array(4).fill('patient'));
    expect([0x00, 0x81, 0x82, 0x8b, 0x8d, 0x93, 0x98, 0x9c].map((code) => disconnectVerdict(code))).toEqual(
      Array(8).fill('normal'),
    );
  });
});

describe('the text of an error', () => {
  it('v5 U-3.2.2-f names the code in the words of its version, and shows a Reason String', () => {
    expect(connackCodeName(0x87, 5)).toBe('Not authorized (0x87)');
    expect(connackCodeName(5, 4)).toBe('Not authorized (return code 5)');
    expect(connackCodeName(77, 4)).toContain('reserved');
    const answer = {
      type: 'connack',
      sessionPresent: false,
      reasonCode: 0x88,
      properties: { reasonString: 'why' },
    } as const;
    expect(connackError(answer, 5)).toMatchObject({
      phase: 'connack',
      reasonCode: 0x88,
      message: 'the server refused the connection: Server unavailable (0x88): why',
    });
    expect(
      disconnectError({ type: 'disconnect', reasonCode: 0x8b, properties: NO_PROPERTIES }),
    ).toMatchObject({
      reasonCode: 0x8b,
      message: 'the server ended the connection: Server shutting down (0x8b)',
    });
  });

  it('has the Reason String on one line and cut to a readable length; the properties have all of it', () => {
    const reasonString = `go\naway${'!'.repeat(65_000)}`;
    const properties = { reasonString, userProperties: [['a', 'b']] as const };
    const words = `go?away${'!'.repeat(249)}…`;
    const errors = [
      connackError({ type: 'connack', sessionPresent: false, reasonCode: 0x88, properties }, 5),
      disconnectError({ type: 'disconnect', reasonCode: 0x8b, properties }),
    ];
    for (const error of errors) {
      expect(error.message.endsWith(`: ${words}`)).toBe(true);
      expect(error.properties).toEqual(properties);
    }
    const [rejected, ended] = errors;
    expect(
      noServerError([rejected as ConnectError, ended as ConnectionLostError]).message.length,
    ).toBeLessThan(800);
    expect(noServerError([ended as ConnectionLostError, rejected as ConnectError])).toMatchObject({
      properties,
    });
  });

  it.each([
    ['connected', 'the connection was lost: read ECONNRESET'],
    ['connecting', 'the server closed the connection before CONNACK: read ECONNRESET'],
  ] as const)('of a loss is the error of the network: %s', (state, message) => {
    const cause = new Error('read ECONNRESET');
    expect(lostError(cause, state)).toMatchObject({ message, cause });
    expect(lostError(new Error('x'.repeat(65_000)), state).message.length).toBeLessThan(400);
    expect(lostError(undefined, state).message).toBe(message.replace(': read ECONNRESET', ''));
  });

  it('v5 MQTT-3.14.2-1 names only codes that a client may send', () => {
    expect([0x81, 0x82, 0x93, 0x94, 0x95].map(sendableCode)).toEqual([0x81, 0x82, 0x93, 0x94, 0x95]);
    expect([0x87, 0x8e, 0x9b].map(sendableCode)).toEqual([0x82, 0x82, 0x82]);
  });
});

describe('whether the messages in flight are suspected after a loss', () => {
  const failed = (code: string): Error => Object.assign(new Error(code), { code });

  it.each([
    ['nothing is known', undefined, 'what was sent'],
    ['the server has reset it', failed('ECONNRESET'), 'what was sent'],
    ['it was closed when it was written to', failed('EPIPE'), 'what was sent'],
    ['a WebSocket was closed', new Error('websocket: the server closed with 1009'), 'what was sent'],
    ['TLS has failed', failed('ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC'), 'none'],
    ['the network is gone', failed('ENETUNREACH'), 'none'],
    ['there was no answer', failed('ETIMEDOUT'), 'none'],
    ['the transport did not allow something', new ProtocolError('x', '6.0', 0x82), 'none'],
    ['it was never established', new ConnectError('dial', 'x'), 'none'],
  ])('if %s', (_, cause, suspicion) => {
    expect(suspicionOfLoss(cause)).toBe(suspicion);
  });

  it('by the code of a DISCONNECT', () => {
    for (const code of [0x80, 0x81, 0x82, 0x83, 0x87, 0x8f, 0x90, 0x95, 0x99, 0x9e])
      expect([code, suspicionOfCode(code)]).toEqual([code, 'what was sent']);
    for (const code of [0, 0x89, 0x8b, 0x8d, 0x8e, 0x93, 0x96, 0x97, 0x98, 0x9c, 0x9d, 0x9f, 0xa0])
      expect([code, suspicionOfCode(code)]).toEqual([code, 'none']);
  });
});

describe('text of the server or the network', () => {
  it('is shown on one line, without control characters, and cut if it is long', () => {
    expect(shown('a\nb\u001b[31mc\u202e')).toBe('a?b?[31mc?');
    expect(shown('x'.repeat(256))).toBe('x'.repeat(256));
    expect(shown('x'.repeat(10_000))).toBe(`${'x'.repeat(256)}…`);
    expect(shown(`${'x'.repeat(255)}😀`)).toBe(`${'x'.repeat(255)}?…`);
  });
});
