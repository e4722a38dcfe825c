/** A connection to whichever address of a host answers first (Happy Eyeballs, RFC 8305). */

import dns from 'node:dns';
import { isIP, type Socket, type SocketConnectOpts, type TcpSocketConnectOpts } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { messageOf } from '../errors.ts';
import { socketEvent, unlessAborted } from './stream.ts';

/** ms until the next address is tried as well (Connection Attempt Delay, RFC 8305, 5). */
const ATTEMPT_DELAY = 250;

/** ms for an address where only one can be tried at a time: all come from the same local port. */
const EXCLUSIVE_DELAY = 5_000;

/** One address of a host. */
export interface Address {
  readonly address: string;
  readonly family: number;
}

/** A connection that is being made to one address. */
export interface Contender {
  readonly socket: Socket;
}

/** What the platform does for it; a spec puts its own in place. */
export interface Resolver {
  /** The addresses of a name, in the order of preference. */
  lookup(host: string, family: number): Promise<readonly Address[]>;
  /** Calls `then` after so many ms, unless what it returns is called before. */
  after(ms: number, then: () => void): () => void;
}

const system: Resolver = {
  lookup: (host, family) =>
    new Promise((resolve, reject) => {
      // As `net.connect()` does it: no addresses of a family that this machine has none of.
      const options = { all: true, family, hints: family === 0 ? dns.ADDRCONFIG : 0 } as const;
      dns.lookup(host, options, (error, addresses) => (error ? reject(error) : resolve(addresses)));
    }),
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Looks up the host of `target` and connects to its addresses: the next one is begun when one has failed, or has not
 * answered within 250 ms and goes on beside it. The first that is connected is the result, and the others are
 * destroyed. No address has a time limit of its own: all of them have until `signal` aborts. `begin` makes the socket for
 * one address.
 */
export async function connectFirst<C extends Contender>(
  target: SocketConnectOpts,
  signal: AbortSignal,
  begin: (target: SocketConnectOpts) => C,
  resolver: Resolver = system,
): Promise<C> {
  signal.throwIfAborted();
  const targets = 'path' in target ? [target] : await addressesOf(target, signal, resolver);
  return new Race(targets, signal, begin, resolver).run();
}

async function addressesOf(
  target: TcpSocketConnectOpts,
  signal: AbortSignal,
  resolver: Resolver,
): Promise<TcpSocketConnectOpts[]> {
  const { host = '', family = 0 } = target;
  if (isIP(host) !== 0) return [target];
  const addresses = await unlessAborted(signal, () => resolver.lookup(host, family));
  const names = new Set(addresses.map(({ address }) => address));
  const distinct = [...names].map((name) => addresses.find(({ address }) => address === name) as Address);
  return alternating(distinct).map(({ address, family: of }) => ({ ...target, host: address, family: of }));
}

/** Each family in turn, beginning with that of the first address: one of them may not work at all. */
function alternating(addresses: readonly Address[]): Address[] {
  const isFirst = ({ family }: Address): boolean => family === addresses[0]?.family;
  const [first, second] = [addresses.filter(isFirst), addresses.filter((one) => !isFirst(one))];
  const pairs = Array.from({ length: Math.max(first.length, second.length) }, (_, i) => [
    first[i],
    second[i],
  ]);
  return pairs.flat().filter((one) => one !== undefined);
}

class Race<C extends Contender> {
  readonly #left: SocketConnectOpts[];
  readonly #signal: AbortSignal;
  readonly #begin: (target: SocketConnectOpts) => C;
  readonly #resolver: Resolver;
  readonly #running = new Set<C>();
  readonly #errors: unknown[] = [];
  #cancel: () => void = () => {};
  #resolve: (winner: C) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(
    targets: SocketConnectOpts[],
    signal: AbortSignal,
    begin: (target: SocketConnectOpts) => C,
    resolver: Resolver,
  ) {
    this.#left = targets;
    this.#signal = signal;
    this.#begin = begin;
    this.#resolver = resolver;
  }

  run(): Promise<C> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#next();
    });
  }

  #next(): void {
    this.#cancel();
    const target = this.#left.shift();
    if (target === undefined) {
      if (this.#running.size === 0) this.#reject(together(this.#errors));
      return;
    }
    let contender: C;
    try {
      contender = this.#begin(target);
    } catch (error) {
      this.#errors.push(error);
      this.#next();
      return;
    }
    this.#running.add(contender);
    socketEvent(contender.socket, 'connect', this.#signal).then(
      () => this.#won(contender),
      (error: unknown) => this.#lost(contender, error),
    );
    if (this.#left.length > 0) this.#wait(contender, 'localPort' in target);
  }

  #wait({ socket }: Contender, isExclusive: boolean): void {
    const resolver = this.#resolver;
    this.#cancel = isExclusive
      ? resolver.after(EXCLUSIVE_DELAY, () =>
          socket.destroy(new Error(`no answer within ${EXCLUSIVE_DELAY} ms`)),
        )
      : resolver.after(ATTEMPT_DELAY, () => this.#next());
  }

  #won(contender: C): void {
    // Another one was first, and has destroyed it.
    if (!this.#running.delete(contender)) return;
    this.#cancel();
    this.#left.length = 0;
    for (const { socket } of this.#running) socket.destroy();
    this.#running.clear();
    this.#resolve(contender);
  }

  #lost(contender: C, error: unknown): void {
    if (!this.#running.delete(contender)) return;
    this.#errors.push(error);
    if (!this.#signal.aborted) return this.#next();
    this.#cancel();
    if (this.#running.size === 0) this.#reject(this.#signal.reason);
  }
}

/** What happened at each address. */
function together(errors: readonly unknown[]): unknown {
  const [first] = errors;
  if (errors.length === 1) return first;
  const { code } = first as NodeJS.ErrnoException;
  return Object.assign(new AggregateError(errors, errors.map(messageOf).join('; ')), { code });
}
