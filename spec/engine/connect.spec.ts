import { describe, expect, it } from '@jest/globals';
import { Decoder } from '../../lib/codec/codec.ts';
import { sendConnect } from '../../lib/engine/connect.ts';
import type { Credentials } from '../../lib/engine/options.ts';
import { ENGINE_DEFAULTS, enginePorts } from '../support/engine-options.ts';

const will = { topic: 'gone', payload: new Uint8Array(0), qos: 0, retain: false, properties: {} } as const;

function connectOf(credentials: Credentials) {
  const options = { ...ENGINE_DEFAULTS, will, properties: { topicAliasMaximum: 3 } };
  const session = { connectionNumber: 1, clientId: 'own', cleanStart: true };
  const connection = sendConnect(
    options,
    session,
    credentials,
    enginePorts(() => 0),
    0,
  );
  const packet = connection.outbox.take() as Uint8Array;
  const decoder = new Decoder({ protocolVersion: 5, receiver: 'server' });
  decoder.push(packet);
  return { connection, connect: decoder.next() };
}

describe('CONNECT', () => {
  it('is as the options have it', () => {
    const { connect } = connectOf({});
    expect(connect).toMatchObject({ clientId: 'own', cleanStart: true, will: { topic: 'gone' } });
    expect(connect).toMatchObject({ properties: { topicAliasMaximum: 3 } });
  });

  it('is as the application says for this attempt, which then holds for the connection', () => {
    const { connection, connect } = connectOf({
      clientId: 'asked',
      username: 'u',
      will: { ...will, topic: 'other' },
      properties: { requestProblemInformation: false },
    });
    expect(connect).toMatchObject({ clientId: 'asked', username: 'u', will: { topic: 'other' } });
    expect(connection.withoutProblemInformation).toBe(true);
    expect(connection.identity.clientId).toBe('asked');
    expect(connection.settings.properties).toEqual({ requestProblemInformation: false });
  });
});
