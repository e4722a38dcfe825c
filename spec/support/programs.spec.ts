import { dirname } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { programPath, without } from './programs.ts';

describe('programPath', () => {
  it('finds executable programs only', () => {
    const directory = dirname(process.execPath);
    expect(programPath('node', ['', '/nowhere', directory])).toBe(`${directory}/node`);
    expect(programPath('no-such-program')).toBeUndefined();
    expect(
      programPath('programs.spec.ts', [import.meta.dirname ?? new URL('.', import.meta.url).pathname]),
    ).toBeUndefined();
  });
});

describe('without an installed program', () => {
  it('a line reports the specs that did not run', () => {
    const line = without('Mosquitto', 'resuming a session', {});
    expect(line).toBe('Mosquitto is not installed: the specs of "resuming a session" did not run');
  });

  it('the specs fail if brokers are required', () => {
    const required = { MQTT_AWAIT_REQUIRE_BROKERS: '1' };
    expect(() => without('Mosquitto', 'resuming a session', required)).toThrow(
      'expected mosquitto and mosquitto_sub to be installed: "resuming a session" needs that',
    );
    expect(() => without('NATS', 'the table', required)).toThrow('expected nats-server to be installed');
  });

  it('the specs fail without RabbitMQ if it is asked for, and do not run otherwise', () => {
    const required = { MQTT_AWAIT_REQUIRE_BROKERS: '1' };
    expect(without('RabbitMQ', 'the table', required)).toBe(
      'RabbitMQ runs only with MQTT_AWAIT_RABBITMQ=1: the specs of "the table" did not run',
    );
    expect(() => without('RabbitMQ', 'the table', { MQTT_AWAIT_RABBITMQ: '1' })).toThrow(
      'expected rabbitmq-server and epmd to be installed',
    );
  });
});
