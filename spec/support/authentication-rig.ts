import { expect } from '@jest/globals';
import type { AuthProperties, EncodablePacket } from '../../lib/codec/packets.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ConnectError, type MqttError } from '../../lib/errors.ts';
import { brief } from './engines.ts';
import { connack, utf8 } from './packets.ts';
import { Rig } from './rig.ts';

export const METHOD = 'SCRAM';
export const CONTINUE = 0x18;

/** AUTH of the server. */
export function auth(reasonCode: number, properties: AuthProperties = {}): EncodablePacket {
  return { type: 'auth', reasonCode, properties: { authenticationMethod: METHOD, ...properties } };
}

export const accepted = (properties: AuthProperties = {}): EncodablePacket =>
  connack({ authenticationMethod: METHOD, ...properties });

/** An engine that has sent CONNECT with an Authentication Method, or without. */
export function connecting(
  options: Partial<EngineOptions> = {},
  authenticationMethod: string | undefined = METHOD,
): Rig {
  const rig = new Rig(options);
  rig.engine.connect('give up', rig.now);
  opened(rig, authenticationMethod);
  return rig;
}

export function opened(rig: Rig, authenticationMethod: string | undefined = METHOD): void {
  const properties = {
    ...rig.options.properties,
    ...(authenticationMethod !== undefined && { authenticationMethod }),
  };
  rig.engine.opened({ properties }, rig.now);
  rig.sent();
  rig.effects.take();
}

/** An engine whose connection was accepted without AUTH. */
export function online(options: Partial<EngineOptions> = {}, answer: EncodablePacket = accepted()): Rig {
  const rig = connecting(options);
  rig.send(answer);
  rig.sent();
  rig.effects.take();
  return rig;
}

/** The next connection is accepted. Returns what the client writes then: a suspect message would wait. */
export function again(rig: Rig): string[] {
  rig.advance(rig.engine.nextTimeout() - rig.now);
  opened(rig);
  rig.send(accepted());
  return brief(rig.sent());
}

/** Waits for a re-authentication. */
export class Waiter {
  outcome: 'waiting' | 'authenticated' | MqttError = 'waiting';
  authenticated(): void {
    this.outcome = 'authenticated';
  }
  failed(error: MqttError): void {
    this.outcome = error;
  }
}

/** A re-authentication whose first AUTH was sent. */
export function reauthenticating(rig: Rig): Waiter {
  const waiter = new Waiter();
  expect(rig.engine.reauthenticate(waiter, rig.now)).toBe(true);
  rig.engine.authenticated(utf8('first'), rig.now);
  rig.sent();
  rig.effects.take();
  return waiter;
}

/** What ended the connection: the last packets, and the broken statement. */
export function violation(rig: Rig): { packets: string[]; statement: string | undefined } {
  const packets = brief(rig.rest());
  const change = rig.effects.changes.at(-1);
  const error = change !== undefined && 'error' in change ? change.error : undefined;
  const broken = (error instanceof ConnectError ? error.cause : error) as { statement?: string } | undefined;
  return { packets, statement: broken?.statement };
}
