/** Connects to the first address of a host that answers (Happy Eyeballs, RFC 8305). */

import type { LookupAddress } from 'node:dns';
import { isIP, type Socket, type SocketConnectOpts, type TcpSocketConnectOpts } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { messageOf } from '../errors.ts';
import { socketEvent, unlessAborted } from './abortable.ts';

/** ms until the next address is tried as well (Connection Attempt Delay, RFC 8305, 5). */
const ATTEMPT_DELAY = 250;

/** ms per address if they must be tried one after the other, because all attempts use the same local port. */
const EXCLUSIVE_DELAY = 5_000;

/** Name look-up and timer of the platform; specs replace them. */
export interface Resolver {
  /** The addresses of a name, most preferred first. */
  lookup(host: string, family: number): Promise<readonly LookupAddress[]>;
  /** Calls `callback` after `ms`. Returns a function that cancels it. */
  after(ms: number, callback: () => void): () => void;
}

const system: Resolver = {
  async lookup(host, family) {
    const { default: dns } = await import('node:dns');
    return new Promise((resolve, reject) => {
      // As in `net.connect()`: no addresses of a family that this machine does not have.
      const options = { all: true, family, hints: family === 0 ? dns.ADDRCONFIG : 0 } as const;
      dns.lookup(host, options, (error, addresses) => (error ? reject(error) : resolve(addresses)));
    });
  },
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Looks up the host of `target` and connects to its addresses. The next address is tried when one has failed, or has not
 * answered within 250 ms; then both attempts continue. Returns the first that connects and destroys the others. No address
 * has a time limit: each may take until `signal` aborts. `start` creates the socket for one address.
 */
export async function connectFirst<C extends { readonly socket: Socket }>(
  target: SocketConnectOpts,
  signal: AbortSignal,
  start: (target: SocketConnectOpts) => C,
  resolver: Resolver = system,
): Promise<C> {
  signal.throwIfAborted();
  const targets = 'path' in target ? [target] : await addressesOf(target, signal, resolver);
  const [only] = targets;
  if (only === undefined || targets.length > 1) return race(targets, signal, start, resolver);
  const contender = start(only);
  await socketEvent(contender.socket, 'connect', signal);
  return contender;
}

async function addressesOf(
  target: TcpSocketConnectOpts,
  signal: AbortSignal,
  resolver: Resolver,
): Promise<TcpSocketConnectOpts[]> {
  const { host = '', family = 0 } = target;
  if (isIP(host) !== 0) return [target];
  const addresses = await unlessAborted(signal, () => resolver.lookup(host, family));
  const distinct = new Map(addresses.map((one) => [one.address, one]));
  return interleaved([...distinct.values()]).map((one) => ({
    ...target,
    host: one.address,
    family: one.family,
  }));
}

/** Alternates between the families, starting with that of the first address: one family may not work at all. */
function interleaved(addresses: readonly LookupAddress[]): LookupAddress[] {
  const isFirst = ({ family }: LookupAddress): boolean => family === addresses[0]?.family;
  const [first, second] = [addresses.filter(isFirst), addresses.filter((one) => !isFirst(one))];
  const pairs = Array.from({ length: Math.max(first.length, second.length) }, (_, i) => [
    first[i],
    second[i],
  ]);
  return pairs.flat().filter((one) => one !== undefined);
}

/** Runs the attempts, and returns the first contender that connects. */
function race<C extends { readonly socket: Socket }>(
  remaining: SocketConnectOpts[],
  signal: AbortSignal,
  start: (target: SocketConnectOpts) => C,
  resolver: Resolver,
): Promise<C> {
  const running = new Set<C>();
  const errors: unknown[] = [];
  let cancelTimer = (): void => {};
  return new Promise((resolve, reject) => {
    const next = (): void => {
      cancelTimer();
      const target = remaining.shift();
      if (target === undefined) {
        if (running.size === 0) reject(combinedError(errors));
        return;
      }
      let contender: C;
      try {
        contender = start(target);
      } catch (error) {
        errors.push(error);
        next();
        return;
      }
      running.add(contender);
      socketEvent(contender.socket, 'connect', signal).then(
        () => onConnected(contender),
        (error: unknown) => onFailed(contender, error),
      );
      if (remaining.length === 0) return;
      const isExclusive = 'localPort' in target && target.localPort !== undefined;
      const giveUp = (): void =>
        void contender.socket.destroy(new Error(`no answer within ${EXCLUSIVE_DELAY} ms`));
      cancelTimer = isExclusive
        ? resolver.after(EXCLUSIVE_DELAY, giveUp)
        : resolver.after(ATTEMPT_DELAY, next);
    };
    const onConnected = (contender: C): void => {
      // Another contender won in the same turn and has destroyed this one.
      if (!running.delete(contender)) return;
      cancelTimer();
      remaining.length = 0;
      for (const { socket } of running) socket.destroy();
      running.clear();
      resolve(contender);
    };
    const onFailed = (contender: C, error: unknown): void => {
      if (!running.delete(contender)) return;
      errors.push(error);
      if (!signal.aborted) return next();
      cancelTimer();
      if (running.size === 0) reject(signal.reason as Error);
    };
    next();
  });
}

/** The error of a single address, or one that combines the errors of all of them. */
function combinedError(errors: readonly unknown[]): unknown {
  const [first] = errors;
  if (errors.length === 1) return first;
  const { code } = first as NodeJS.ErrnoException;
  return Object.assign(new AggregateError(errors, errors.map(messageOf).join('; ')), { code });
}
