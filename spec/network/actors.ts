import { afterAll, beforeAll } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { Client, type ClientOptions, type StatusEvent } from '../../lib/index.ts';
import { type AedesOptions, type LocalBroker, startAedes } from '../support/aedes.ts';
import { atEnd, endWithTest } from '../support/endings.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { type Mosquitto, type MosquittoOptions, startMosquitto } from '../support/mosquitto.ts';
import {
  type MosquittoSub,
  type MosquittoSubOptions,
  subscribeWithMosquitto,
} from '../support/mosquitto-sub.ts';
import { programPath } from '../support/program-path.ts';
import { endPrograms } from './children.ts';
import { WireTap } from './wire-tap.ts';

/*
 * Participants of specs over a real network. All of them end with the test, also if it fails.
 */

/** Ends everything that a test started, and fails the test on leaks. Once per file. */
export function endActors(): void {
  endWithTest(endPrograms);
}

/** Lines without which Mosquitto drops messages for a slow or absent reader, or sends them late. */
const PATIENT = ['max_queued_messages 0', 'set_tcp_nodelay true'];

/** A Mosquitto that drops no messages for a slow or absent reader, as it does by default. */
export async function mosquitto({ config = [], ...options }: MosquittoOptions = {}): Promise<Mosquitto> {
  const broker = await startMosquitto({ ...options, config: [...PATIENT, ...config] });
  atEnd(() => broker.stop());
  return broker;
}

/**
 * The same for all specs of a file or of a `describe`, which must not use the same topics or Client Identifiers. A
 * process takes this one tens of ms to start.
 */
export function sharedMosquitto(lines: () => Promise<readonly string[]> = async () => []): () => Mosquitto {
  let broker: Mosquitto | undefined;
  // Without Mosquitto, other functions say so.
  if (programPath('mosquitto') !== undefined) {
    beforeAll(async () => {
      broker = await startMosquitto({ config: [...PATIENT, ...(await lines())] });
    });
    afterAll(() => broker?.stop());
  }
  return () => broker as Mosquitto;
}

/** An independent subscriber for as long as `broker`, from `sharedMosquitto()`. */
export function sharedMosquittoSub(
  broker: () => Mosquitto,
  options: MosquittoSubOptions,
): () => MosquittoSub {
  let witness: MosquittoSub | undefined;
  if (programPath('mosquitto_sub') !== undefined) {
    beforeAll(async () => {
      witness = await subscribeWithMosquitto(broker(), options);
    });
    afterAll(() => witness?.stop());
  }
  return () => witness as MosquittoSub;
}

export async function aedes(options: AedesOptions = {}): Promise<LocalBroker> {
  const broker = await startAedes(options);
  atEnd(() => broker.close());
  return broker;
}

/** An independent subscriber. */
export async function mosquittoSub(broker: Mosquitto, options: MosquittoSubOptions): Promise<MosquittoSub> {
  const witness = await subscribeWithMosquitto(broker, options);
  atEnd(() => witness.stop());
  return witness;
}

export async function faultProxy(port: number): Promise<FaultProxy> {
  const proxy = await FaultProxy.to(port);
  atEnd(() => proxy.close());
  return proxy;
}

export async function wireTap(port: number, version: ProtocolVersion = 4): Promise<WireTap> {
  const tap = await WireTap.to(port, version);
  atEnd(() => tap.close());
  return tap;
}

/** A client, and its events so far. */
export interface Actor {
  readonly client: Client;
  readonly events: readonly StatusEvent[];
  /** Logged lines, such as `warn: …`. */
  readonly log: readonly string[];
  /** Number of events of this type. */
  readonly count: (type: StatusEvent['type']) => number;
  /** Waits for the next event of a type. */
  readonly next: <Type extends StatusEvent['type']>(
    type: Type,
  ) => Promise<Extract<StatusEvent, { type: Type }>>;
}

/** Short delays between attempts. */
export const SOON = { minDelay: 5, maxDelay: 40 } as const;

/** A connected client. */
export async function actor(url: string, options: ClientOptions = {}): Promise<Actor> {
  const log: string[] = [];
  const line = (level: string) => (message: string) => void log.push(`${level}: ${message}`);
  const logger = { debug: () => {}, info: line('info'), warn: line('warn'), error: line('error') };
  const client = new Client(url, { reconnect: SOON, logger, ...options });
  const events: StatusEvent[] = [];
  const reading = (async () => {
    for await (const event of client.status()) events.push(event);
  })();
  atEnd(async () => {
    await client.disconnect();
    await reading;
  });
  // Specs that care about the end await it themselves.
  client.closed.catch(() => {});
  const next = async <Type extends StatusEvent['type']>(type: Type) => {
    for await (const event of client.status())
      if (event.type === type) return event as Extract<StatusEvent, { type: Type }>;
    throw new Error(`expected the event ${type}, got the end of the client`);
  };
  await client.connect();
  return {
    client,
    events,
    log,
    count: (type) => events.filter((event) => event.type === type).length,
    next,
  };
}

/** Errors of calls that rejected, with all details that help to understand a failing spec. */
export function rejections(settled: readonly PromiseSettledResult<unknown>[]): readonly string[] {
  return settled.flatMap((one, i) => {
    if (one.status === 'fulfilled') return [];
    const { name, message, delivery, kept } = one.reason as Error & { delivery?: string; kept?: boolean };
    return [`${i}: ${name}: ${message} (delivery: ${delivery}, kept: ${kept})`];
  });
}

/** Resolves with `promise`. Rejects after `ms` with the present state. */
export async function inTime<T>(promise: Promise<T>, ms: number, state: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`expected an end within ${ms} ms, got ${state()}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
