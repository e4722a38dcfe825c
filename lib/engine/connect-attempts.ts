import type { ConnackPacket, DisconnectPacket } from '../codec/packets.ts';
import type { MqttError } from '../errors.ts';
import { backoffDelay, type RetryContext } from './backoff.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions, EnginePorts, ServerChoice } from './options.ts';
import { noServerError, type Verdict } from './connect-errors.ts';

/** A connection that was up for less, in ms, is short. */
const SHORT = 5_000;
/** Short connections in a row that are flapping: on 3.1.1 probably a second client with this Client Identifier. */
const FLAPPING = 3;

/**
 * What follows from a failure. `undecided`: the application's policy has to be asked; `ended`: no further attempt;
 * `gaveUp`: none until the next `connect()`; `lost`: the next one after `delay` ms.
 */
export type Next =
  | { readonly input: 'undecided'; readonly context: RetryContext }
  | { readonly input: 'ended' }
  | { readonly input: 'gaveUp' }
  | { readonly input: 'lost'; readonly delay: number; readonly flapping: boolean };

/** The present attempt to connect: its number, its servers and times, and what follows if it fails. */
export class ConnectAttempts {
  readonly #options: EngineOptions;
  readonly #ports: Pick<EnginePorts, 'random'>;
  /** What follows if an attempt fails before one has succeeded. */
  onFailure: 'give up' | 'retry' = 'give up';
  /** Attempts since the last connection. */
  #number = 0;
  #until = 0;
  #serverTimeout = 0;
  /** How the present server was chosen. */
  #choice: ServerChoice = 'first';
  /** The failure that the policy is asked about. */
  #undecided: { readonly context: RetryContext; readonly verdict: Verdict } | undefined = undefined;
  /** Servers that this attempt has not tried yet. */
  #left = 0;
  /** Errors from the servers already tried. */
  #failures: MqttError[] = [];
  /** The Client Identifier and the server of the last CONNACK that accepted. */
  #clientId: string | undefined = undefined;
  #server: string | undefined = undefined;
  /** Whether they are those of the previous one. */
  #owner: 'the same' | 'another server' | 'another identifier' = 'the same';
  #reason: MqttError | undefined = undefined;
  /** Failed attempts in a row. Each short connection counts as one while the client is flapping. */
  #failedInRow = 0;
  /** Both counts when the present connection was accepted: they go on from there if the client is flapping. */
  #before = { number: 0, failedInRow: 0 };
  /** When the present connection was accepted. */
  #acceptedAt: number | undefined = undefined;
  /** Short connections in a row. */
  #short = 0;
  /** Network Connections that a server has accepted, without those that only cleaned the session. */
  #accepted = 0;
  /** The server whose old session was cleaned. */
  #wiped: { readonly server: string | undefined } | undefined = undefined;

  constructor(options: EngineOptions, ports: Pick<EnginePorts, 'random'>) {
    this.#options = options;
    this.#ports = ports;
  }

  get number(): number {
    return this.#number;
  }

  /** The error that ended the previous attempt or connection. */
  get reason(): MqttError | undefined {
    return this.#reason;
  }

  /** Whether a server has accepted the credentials before, or the next attempt may use others. */
  get credentialsWorked(): boolean {
    return this.#accepted > 0 || this.#wiped !== undefined || this.#options.credentialsVary === true;
  }

  /** Whether the present connection is the first one. */
  get isFirst(): boolean {
    return this.#accepted === 1;
  }

  /** Whether the session at the server may hold messages that this client did not send. */
  get isUnknownSession(): boolean {
    return this.isFirst ? this.#wiped === undefined : this.isOtherServer;
  }

  /** Whether this connection has another Client Identifier, and so another session, than the previous one. */
  get isOtherIdentifier(): boolean {
    return this.#owner === 'another identifier';
  }

  /** Whether this connection is to another server. Servers of a cluster may share the session; others have an older one. */
  get isOtherServer(): boolean {
    return this.#owner === 'another server';
  }

  /** How long the present server may take, in ms. */
  get serverTimeout(): number {
    return Math.round(this.#serverTimeout);
  }

  /** Clean Start of a CONNECT to `server`. A persistent session is cleaned once only, or every reconnect would clean it. */
  cleanStart(server?: string): boolean {
    const { cleanStart, sessionExpiryInterval, protocolVersion } = this.#options;
    const once = cleanStart === 'first' || (cleanStart && protocolVersion === 5 && sessionExpiryInterval > 0);
    if (!once) return cleanStart;
    if (this.#accepted > 0) return false;
    // Another server may have an old session too. Not right after cleaning one: with a URL function that returns another
    // URL each time, that would go on for ever.
    return this.#wiped === undefined || (this.#wiped.server !== server && this.#choice !== 'same');
  }

  /** Whether a connection only cleans the session: on 3.x a session with Clean Session 1 ends with its connection. */
  wipes(server?: string): boolean {
    return (
      this.#options.protocolVersion < 5 && this.#options.cleanStart === 'first' && this.cleanStart(server)
    );
  }

  begin(onFailure: 'give up' | 'retry'): void {
    this.onFailure = onFailure;
    this.#number = 0;
    this.#failedInRow = 0;
    this.#short = 0;
    this.#reason = undefined;
    this.#undecided = undefined;
  }

  /**
   * A server is tried, and `left` others may follow. Returns when it times out: each has an equal share of the remaining
   * time.
   */
  onDial(choice: ServerChoice, left: number, now: number): number {
    if (choice !== 'next') {
      this.#until = now + this.#options.connectTimeout;
      this.#failures = [];
    }
    this.#choice = choice;
    this.#left = left;
    this.#serverTimeout = (this.#until - now) / (left + 1);
    return now + this.#serverTimeout;
  }

  /** A CONNACK or DISCONNECT may refer to other servers: the present attempt tries them next, or the next one begins there. */
  noteServerReference(
    { reasonCode, properties: { serverReference } }: ConnackPacket | DisconnectPacket,
    effects: Pick<Effects, 'redirect'>,
  ): void {
    // 0x9C Use another server, 0x9D Server moved (4.11).
    if (serverReference === undefined || (reasonCode !== 0x9c && reasonCode !== 0x9d)) return;
    this.#left += effects.redirect(serverReference, reasonCode === 0x9d ? 'for good' : 'for now');
  }

  /** The attempt is given up: no other server is tried. */
  abandoned(): void {
    this.#left = 0;
    this.#failures = [];
    this.#undecided = undefined;
    this.onFailure = 'give up';
  }

  /** A server has failed. Returns whether the attempt goes on with another one. */
  triesNextServer(error: MqttError, verdict: Verdict, now: number): boolean {
    this.#failures.push(error);
    return this.#left > 0 && verdict !== 'final' && now < this.#until;
  }

  /** The error of the attempt: that of its last server, or of all of them. */
  failure(error: MqttError): MqttError {
    const failures = this.#failures;
    return failures.length > 1 && failures.at(-1) === error ? noServerError(failures) : error;
  }

  wiped(server?: string): void {
    this.#wiped = { server };
  }

  accepted(now: number, clientId: string, server?: string): void {
    if (this.#accepted === 0) this.#owner = 'the same';
    else if (this.#clientId !== clientId) this.#owner = 'another identifier';
    else this.#owner = this.#server === server ? 'the same' : 'another server';
    this.#clientId = clientId;
    this.#server = server;
    this.#left = 0;
    this.#failures = [];
    this.#accepted++;
    this.#acceptedAt = now;
    this.#before = { number: this.#number, failedInRow: this.#failedInRow };
    this.#number = 0;
    this.#failedInRow = 0;
    this.#reason = undefined;
    this.onFailure = 'retry';
  }

  /** A planned reconnect replaces the connection: its uptime does not count. */
  replaced(): void {
    this.#acceptedAt = undefined;
  }

  /** The connection or attempt has failed. `verdict` holds unless the policy decides otherwise. */
  failed(error: MqttError, verdict: Verdict, now: number): Next {
    const wasUp = this.#acceptedAt !== undefined;
    const uptime = this.#uptime(now);
    this.#reason = error;
    const flapping = this.#short >= FLAPPING;
    if (this.onFailure === 'give up') return verdict === 'final' ? { input: 'ended' } : { input: 'gaveUp' };
    const { reconnect } = this.#options;
    if (reconnect === false) return { input: 'ended' };
    if (!wasUp || flapping) this.#failedInRow++;
    // The limit also holds for a policy, which is not asked any more.
    if (this.#failedInRow >= (reconnect.maxAttempts ?? Infinity)) return { input: 'ended' };
    const reasonCode = 'reasonCode' in error ? (error.reasonCode as number | undefined) : undefined;
    const context = { attempt: this.#number++, error, reasonCode, uptime, flapping };
    this.#undecided = { context, verdict };
    return reconnect.policy === undefined ? this.decided(undefined) : { input: 'undecided', context };
  }

  /** Whether a failure waits for the answer of the policy. */
  get isUndecided(): boolean {
    return this.#undecided !== undefined;
  }

  /** The policy has answered: ms, `false` for no further attempt, or `undefined`. */
  decided(answer: number | false | undefined): Exclude<Next, { input: 'undecided' }> {
    const { reconnect } = this.#options;
    const undecided = this.#undecided;
    this.#undecided = undefined;
    if (undecided === undefined || reconnect === false) return { input: 'ended' };
    const { verdict, context } = undecided;
    const { attempt, flapping } = context;
    if (answer === false || answer === Infinity) return { input: 'ended' };
    if (answer !== undefined) return { input: 'lost', delay: answer, flapping };
    if (verdict === 'final') return { input: 'ended' };
    const delay = backoffDelay(reconnect, attempt, this.#ports.random());
    return {
      input: 'lost',
      delay: verdict === 'patient' ? Math.max(delay, reconnect.maxDelay / 4) : delay,
      flapping,
    };
  }

  /** The uptime of the connection that has ended, in ms. A connection resets the counter, unless it is flapping. */
  #uptime(now: number): number {
    if (this.#acceptedAt === undefined) return 0;
    const uptime = now - this.#acceptedAt;
    this.#acceptedAt = undefined;
    this.#short = uptime < SHORT ? this.#short + 1 : 0;
    if (this.#short >= FLAPPING) {
      this.#number = this.#before.number;
      this.#failedInRow = this.#before.failedInRow;
    }
    return uptime;
  }
}
