import { backoffDelay } from './backoff.ts';
import type { EngineOptions } from './options.ts';
import type { Verdict } from './refusals.ts';

/** Which attempt to connect this is, what it asks the server for, and what follows where it fails. */
export class Attempts {
  readonly #options: EngineOptions;
  /** What becomes of an attempt that fails before any has succeeded. */
  onFailure: 'give up' | 'retry' = 'give up';
  /** Attempts since the last CONNACK. */
  #number = 0;
  /** Network Connections that a server accepted, those that were only to wipe the session not counted. */
  #accepted = 0;
  #wiped = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  get number(): number {
    return this.#number;
  }

  /** Whether a server has taken our credentials before, or the next attempt may come with others. */
  get trusted(): boolean {
    return this.#accepted > 0 || this.#wiped || this.#options.credentialsVary === true;
  }

  /** Whether the connection that is up is the first of this client. */
  get first(): boolean {
    return this.#accepted === 1;
  }

  /** Whether the session at the server may have had an owner before this client. */
  get inherited(): boolean {
    return this.first && !this.#wiped;
  }

  /** Clean Start of the next CONNECT. A session that was asked to be kept is cleaned once, or every reconnect would wipe it. */
  get cleanStart(): boolean {
    const { cleanStart, sessionExpiryInterval, protocolVersion } = this.#options;
    const once = cleanStart === 'first' || (cleanStart && protocolVersion === 5 && sessionExpiryInterval > 0);
    return once ? this.#accepted === 0 && !this.#wiped : cleanStart;
  }

  /** Whether a connection with Clean Session 1 is there only to wipe: on 3.x it would end the session with itself. */
  get wipes(): boolean {
    return this.#options.protocolVersion < 5 && this.#options.cleanStart === 'first' && this.cleanStart;
  }

  begin(onFailure: 'give up' | 'retry'): void {
    this.onFailure = onFailure;
    this.#number = 0;
  }

  wiped(): void {
    this.#wiped = true;
  }

  accepted(): void {
    this.#accepted++;
    this.#number = 0;
    this.onFailure = 'retry';
  }

  /** The connection or attempt is over: `ended`, for good; `gaveUp`, until the next `connect()`; else the delay in ms. */
  failed(verdict: Verdict, random: () => number): 'ended' | 'gaveUp' | number {
    const { reconnect } = this.#options;
    if (verdict === 'final') return 'ended';
    if (this.onFailure === 'give up') return 'gaveUp';
    if (reconnect === false) return 'ended';
    const delay = backoffDelay(reconnect, this.#number++, random());
    return verdict === 'patient' ? Math.max(delay, reconnect.maxDelay / 4) : delay;
  }
}
