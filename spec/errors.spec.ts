import { describe, expect, it, jest } from '@jest/globals';
import * as errors from '../lib/errors.ts';
import {
  ClosedError,
  ConnectError,
  ConnectionLostError,
  isPublishFailure,
  MqttError,
  PoisonedMessageError,
  ProtocolError,
  PublishError,
  QueueFullError,
  RequestError,
  SubscribeError,
  TimeoutError,
} from '../lib/errors.ts';

type Errors = typeof errors;

/** One error of each class, by the name of its class. */
function samples(from: Errors): Record<string, MqttError> {
  const fate = { delivery: 'unknown', kept: true } as const;
  return {
    MqttError: new from.MqttError('ERR_MQTT_CLOSED', 'a'),
    ConnectError: new from.ConnectError('dial', 'a'),
    ConnectionLostError: new from.ConnectionLostError('a', { fate }),
    ProtocolError: new from.ProtocolError('a', 'MQTT-2.1.3-1', 0x81),
    PublishError: new from.PublishError('a', 0x87, { delivery: 'rejected', kept: false }),
    SubscribeError: new from.SubscribeError('a', []),
    QueueFullError: new from.QueueFullError('a'),
    TimeoutError: new from.TimeoutError('a', fate),
    ClosedError: new from.ClosedError('a', fate),
    PoisonedMessageError: new from.PoisonedMessageError('a'),
    RequestError: new from.RequestError('out-of-range', 'a', { remote: true }),
  };
}

const CLASSES = {
  MqttError,
  ConnectError,
  ConnectionLostError,
  ProtocolError,
  PublishError,
  SubscribeError,
  QueueFullError,
  TimeoutError,
  ClosedError,
  PoisonedMessageError,
  RequestError,
};

/** The names of the classes that `error` is an instance of. */
const classesOf = (error: unknown): string[] =>
  Object.entries(CLASSES).flatMap(([name, kind]) => (error instanceof kind ? [name] : []));

describe('instanceof', () => {
  it('distinguishes the classes', () => {
    for (const [name, error] of Object.entries(samples(errors))) {
      expect(classesOf(error)).toEqual([...new Set(['MqttError', name])]);
      expect([error.name, error instanceof Error, String(error).startsWith(`${name}: a`)]).toEqual([
        name,
        true,
        true,
      ]);
      expect(Object.keys(error)).not.toContain('name');
    }
  });

  it('holds for errors of another copy of the package', async () => {
    let other: Errors = errors;
    await jest.isolateModulesAsync(async () => {
      other = await import('../lib/errors.ts');
    });
    expect(other.MqttError).not.toBe(MqttError);
    for (const [name, error] of Object.entries(samples(other)))
      expect(classesOf(error)).toEqual([...new Set(['MqttError', name])]);
  });

  it('holds for a subclass of an application, and only for its own errors', () => {
    class RefusedError extends PublishError {}
    const own = new RefusedError('a', 0x87, { delivery: 'rejected', kept: false });
    expect(own).toBeInstanceOf(RefusedError);
    expect(own).toBeInstanceOf(PublishError);
    expect(samples(errors)['PublishError']).not.toBeInstanceOf(RefusedError);
  });

  it.each([undefined, null, 'ConnectError', 7, {}, new Error('a'), () => {}])(
    'does not hold for %p',
    (value) => {
      expect(classesOf(value)).toEqual([]);
    },
  );
});

describe('isPublishFailure()', () => {
  it('holds for every error with the fate of a message', () => {
    const failures = Object.entries(samples(errors)).filter(([, error]) => isPublishFailure(error));
    expect(failures.map(([name]) => name)).toEqual([
      'ConnectionLostError',
      'PublishError',
      'QueueFullError',
      'TimeoutError',
      'ClosedError',
      'PoisonedMessageError',
    ]);
  });

  it('does not hold for errors without a message', () => {
    for (const error of [new TimeoutError('a'), new ClosedError('a'), new ConnectionLostError('a')])
      expect(isPublishFailure(error)).toBe(false);
  });

  it('does not hold for wrong arguments, the reason of a signal, and similar objects', () => {
    for (const error of [new TypeError('a'), AbortSignal.abort().reason, { delivery: 'unknown', kept: true }])
      expect(isPublishFailure(error)).toBe(false);
  });

  it('lets delivery and kept be read without a cast', () => {
    const error: unknown = new TimeoutError('a', { delivery: 'not-sent', kept: true });
    expect(isPublishFailure(error) && [error.code, error.delivery, error.kept]).toEqual([
      'ERR_MQTT_TIMEOUT',
      'not-sent',
      true,
    ]);
  });
});
