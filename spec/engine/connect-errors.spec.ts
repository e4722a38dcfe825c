import { describe, expect, it } from '@jest/globals';
import { ConnectError, type ConnectionLostError, ProtocolError, shown } from '../../lib/errors.ts';
import { NO_PROPERTIES } from '../../lib/codec/packets.ts';
import {
  disconnectVerdict,
  connackVerdict,
  connackCodeName,
  disconnectError,
  lostError,
  noServerError,
  connackError,
  sendableCode,
  suspicionOfCode,
  suspicionOfLoss,
} from '../../lib/engine/connect-errors.ts';

describe('what follows from a code', () => {
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

describe('what is told', () => {
  it('v5 U-3.2.2-f names the code in the words of its version, and shows a Reason String', () => {
    expect(connackCodeName(0x87, 5)).toBe('Not authorized (0x87)');
    expect(connackCodeName(5, 4)).toBe('Not authorized (return code 5)');
    expect(connackCodeName(77, 4)).toContain('reserved');
    const connack = {
      type: 'connack',
      sessionPresent: false,
      reasonCode: 0x88,
      properties: { reasonString: 'why' },
    } as const;
    expect(connackError(connack, 5)).toMatchObject({
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

  it('is a Reason String on one line and as long as can be read, and the whole of it in the properties', () => {
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
    const [refused, ended] = errors;
    expect(
      noServerError([refused as ConnectError, ended as ConnectionLostError]).message.length,
    ).toBeLessThan(800);
    expect(noServerError([ended as ConnectionLostError, refused as ConnectError])).toMatchObject({
      properties,
    });
  });

  it.each([
    ['connected', 'the connection was lost: read ECONNRESET'],
    ['connecting', 'the server closed the connection before CONNACK: read ECONNRESET'],
  ] as const)('of a loss is what the network said: %s', (state, message) => {
    const cause = new Error('read ECONNRESET');
    expect(lostError(cause, state)).toMatchObject({ message, cause });
    expect(lostError(new Error('x'.repeat(65_000)), state).message.length).toBeLessThan(400);
    expect(lostError(undefined, state).message).toBe(message.replace(': read ECONNRESET', ''));
  });

  it('v5 MQTT-3.14.2-1 sends only what a client may send', () => {
    expect([0x81, 0x82, 0x93, 0x94, 0x95].map(sendableCode)).toEqual([0x81, 0x82, 0x93, 0x94, 0x95]);
    expect([0x87, 0x8e, 0x9b].map(sendableCode)).toEqual([0x82, 0x82, 0x82]);
  });
});

describe('the loss of a connection may be due to what was sent', () => {
  const failed = (code: string): Error => Object.assign(new Error(code), { code });

  it.each([
    ['nothing is known', undefined, 'what was sent'],
    ['the server has reset it', failed('ECONNRESET'), 'what was sent'],
    ['it was gone when it was written to', failed('EPIPE'), 'what was sent'],
    ['a WebSocket was closed', new Error('websocket: the server closed with 1009'), 'what was sent'],
    ['TLS has failed', failed('ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC'), 'none'],
    ['the network is gone', failed('ENETUNREACH'), 'none'],
    ['nobody has answered', failed('ETIMEDOUT'), 'none'],
    ['the transport did not allow something', new ProtocolError('x', '6.0', 0x82), 'none'],
    ['it never was up', new ConnectError('dial', 'x'), 'none'],
  ])('or not, where %s', (_, cause, suspicion) => {
    expect(suspicionOfLoss(cause)).toBe(suspicion);
  });

  it('or not, as the code of a DISCONNECT says', () => {
    for (const code of [0x80, 0x81, 0x82, 0x83, 0x87, 0x8f, 0x90, 0x95, 0x99, 0x9e])
      expect([code, suspicionOfCode(code)]).toEqual([code, 'what was sent']);
    for (const code of [0, 0x89, 0x8b, 0x8d, 0x8e, 0x93, 0x96, 0x97, 0x98, 0x9c, 0x9d, 0x9f, 0xa0])
      expect([code, suspicionOfCode(code)]).toEqual([code, 'none']);
  });
});

describe('the words of others', () => {
  it('are shown on one line, without what could change how that looks, and cut where they are long', () => {
    expect(shown('a\nb\u001b[31mc\u202e')).toBe('a?b?[31mc?');
    expect(shown('x'.repeat(256))).toBe('x'.repeat(256));
    expect(shown('x'.repeat(10_000))).toBe(`${'x'.repeat(256)}…`);
    expect(shown(`${'x'.repeat(255)}😀`)).toBe(`${'x'.repeat(255)}?…`);
  });
});
