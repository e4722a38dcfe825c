import type { Authentication, AuthenticationContext } from '../../lib/client/config/authentication.ts';
import type { ClientOptions } from '../../lib/client/config/client-options.ts';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { bytes, Stage } from './stage.ts';

export const METHOD = 'TEST';
export const OK = { properties: { authenticationMethod: METHOD } } as const;

/** AUTH of the server. */
export function auth(reasonCode: number, text?: string, properties: { readonly reasonString?: string } = {}) {
  const data = text === undefined ? {} : { authenticationData: bytes(text) };
  return {
    type: 'auth' as const,
    reasonCode,
    properties: { authenticationMethod: METHOD, ...data, ...properties },
  };
}

/** A promise that a spec settles. */
export function latch<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((...handles) => ([resolve, reject] = handles));
  return { promise, resolve, reject };
}

/** Functions that answer at once and record their calls. */
export class Recording implements Authentication {
  readonly method = METHOD;
  readonly #calls: string[] = [];
  readonly #contexts: AuthenticationContext[] = [];

  get calls(): string[] {
    return this.#calls;
  }

  get contexts(): readonly AuthenticationContext[] {
    return this.#contexts;
  }

  start(context: AuthenticationContext): string {
    this.#record('start', undefined, context);
    return 'hello';
  }

  async continue(data: Uint8Array | undefined, context: AuthenticationContext): Promise<Uint8Array> {
    this.#record('continue', data, context);
    return bytes('answer');
  }

  finish(data: Uint8Array | undefined, context: AuthenticationContext): void {
    this.#record('finish', data, context);
  }

  #record(name: string, data: Uint8Array | undefined, context: AuthenticationContext): void {
    this.#calls.push(data === undefined ? name : `${name} ${Buffer.from(data).toString()}`);
    this.#contexts.push(context);
  }
}

export function options(authentication: Authentication): ClientOptions {
  return { protocolVersion: 5, authentication, keepAlive: 0 };
}

export const plain = (functions: Partial<Authentication>): Authentication => ({
  method: METHOD,
  start: () => 'hello',
  continue: () => 'answer',
  ...functions,
});

/** A client whose connection is up. */
export async function online(authentication: Authentication, stage = new Stage()) {
  return { stage, ...(await stage.online(options(authentication), OK)) };
}

/** A client that has sent CONNECT. */
export async function connecting(authentication: Authentication, more: ClientOptions = {}) {
  const stage = new Stage();
  const client = stage.client({ ...options(authentication), ...more });
  const connected = client.connect();
  connected.catch(() => {});
  const broker = await stage.network.next();
  const connect = await broker.expect('connect');
  return { stage, client, broker, connect, connected };
}

/** The server's part of a re-authentication. */
export async function reauthenticate(stage: Stage, broker: ScriptedBroker): Promise<void> {
  await broker.expect('auth', { reasonCode: 0x19 });
  broker.send(auth(0));
  await stage.clock.advance(0);
}
