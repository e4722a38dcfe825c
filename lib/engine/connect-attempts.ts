import type { ConnackPacket, DisconnectPacket } from '../codec/packets.ts';
import type { MqttError } from '../errors.ts';
import { backoffDelay } from './backoff.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions, EnginePorts, ServerChoice } from './options.ts';
import { noServerError, serverReferenceIn, type Verdict } from './connect-errors.ts';

/** A connection that lived for less, in ms, is a short one. */
const SHORT = 5_000;
/** So many short ones in a row are no accident: on 3.1.1 probably a second client with this Client Identifier. */
const FLAPPING = 3;

/** What follows: no further attempt, none until the next `connect()`, or one after a delay. */
export type Next =
  | { readonly input: 'ended' }
  | { readonly input: 'gaveUp' }
  | { readonly input: 'lost'; readonly delay: number; readonly flapping: boolean };

/** Which attempt to connect this is, what it asks the server for, and what follows where it fails. */
export class ConnectAttempts {
  readonly #options: EngineOptions;
  readonly #ports: Pick<EnginePorts, 'random' | 'decide'>;
  /** What becomes of an attempt that fails before any has succeeded. */
  onFailure: 'give up' | 'retry' = 'give up';
  /** Attempts since the last connection that was up. */
  #number = 0;
  /** When the attempt has to be over. */
  #until = 0;
  /** How long its present server may take. */
  #share = 0;
  /** What its present server is. */
  #which: ServerChoice = 'first';
  /** Servers it has not tried yet. */
  #left = 0;
  /** What those said that it has. */
  #failures: MqttError[] = [];
  /** With which Client Identifier we were accepted last, and by which server. */
  #clientId: string | undefined = undefined;
  #server: string | undefined = undefined;
  /** Whose session that is, compared with the one before. */
  #owner: 'the same' | 'another server' | 'another identifier' = 'the same';
  /** What ended the attempt or connection before. */
  #reason: MqttError | undefined = undefined;
  /** Failed attempts in a row. Each short connection counts as one while the client is flapping. */
  #failedInRow = 0;
  /** Both counts when the present connection was accepted: they go on from there if the client is flapping. */
  #before = { number: 0, failedInRow: 0 };
  /** When the connection that is up was accepted. */
  #acceptedAt: number | undefined = undefined;
  /** Short connections in a row. */
  #short = 0;
  /** Network Connections that a server accepted, those that were only to wipe the session not counted. */
  #accepted = 0;
  /** Where the old session was wiped. */
  #wiped: { readonly server: string | undefined } | undefined = undefined;

  constructor(options: EngineOptions, ports: Pick<EnginePorts, 'random' | 'decide'>) {
    this.#options = options;
    this.#ports = ports;
  }

  get number(): number {
    return this.#number;
  }

  /** Why there is another attempt: what ended the last one, or the connection. */
  get reason(): MqttError | undefined {
    return this.#reason;
  }

  /** Whether a server has taken our credentials before, or the next attempt may come with others. */
  get credentialsWorked(): boolean {
    return this.#accepted > 0 || this.#wiped !== undefined || this.#options.credentialsVary === true;
  }

  /** Whether the connection that is up is the first of this client. */
  get isFirst(): boolean {
    return this.#accepted === 1;
  }

  /** Whether the session at the server may be of a time, or of an owner, that this client knows nothing of. */
  get isUnknownSession(): boolean {
    return this.isFirst ? this.#wiped === undefined : this.isOtherServer;
  }

  /** Whether the session of this connection is not the one that this client has had so far. */
  get isOtherIdentifier(): boolean {
    return this.#owner === 'another identifier';
  }

  /** Whether it is another server's: the same one in a cluster that shares sessions, else one of an earlier time. */
  get isOtherServer(): boolean {
    return this.#owner === 'another server';
  }

  /** How long the server that is tried may take. */
  get serverTimeout(): number {
    return Math.round(this.#share);
  }

  /** Clean Start of a CONNECT to `server`. A session that was asked to be kept is cleaned once, or every reconnect would wipe it. */
  cleanStart(server?: string): boolean {
    const { cleanStart, sessionExpiryInterval, protocolVersion } = this.#options;
    const once = cleanStart === 'first' || (cleanStart && protocolVersion === 5 && sessionExpiryInterval > 0);
    if (!once) return cleanStart;
    if (this.#accepted > 0) return false;
    // Another server may have an old session of its own. Not right after wiping: a URL that is another one each time it
    // is asked for would have that go on for ever.
    return this.#wiped === undefined || (this.#wiped.server !== server && this.#which !== 'same');
  }

  /** Whether a connection with Clean Session 1 is there only to wipe: on 3.x it would end the session with itself. */
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
  }

  /**
   * A server is tried, and `left` others may follow. Returns until when: each has an equal share of the time that is
   * left for the attempt.
   */
  onDial(which: ServerChoice, left: number, now: number): number {
    if (which !== 'next') {
      this.#until = now + this.#options.connectTimeout;
      this.#failures = [];
    }
    this.#which = which;
    this.#left = left;
    this.#share = (this.#until - now) / (left + 1);
    return now + this.#share;
  }

  /** A refusal or DISCONNECT may name other servers: the attempt goes on there, or the next one begins there. */
  noteServerReference(packet: ConnackPacket | DisconnectPacket, effects: Pick<Effects, 'redirect'>): void {
    const reference = serverReferenceIn(packet);
    if (reference !== undefined) this.#left += effects.redirect(reference.serverReference, reference.lasting);
  }

  /** Nobody wants this attempt any more: no other server is tried. */
  abandoned(): void {
    this.#left = 0;
    this.#failures = [];
    this.onFailure = 'give up';
  }

  /** A server has failed: whether the attempt goes on with another one. */
  triesNextServer(error: MqttError, verdict: Verdict, now: number): boolean {
    this.#failures.push(error);
    return this.#left > 0 && verdict !== 'final' && now < this.#until;
  }

  /** Why the attempt has failed: what its last server said, and what the others did. */
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

  /** The connection that is up is given up for the next one: how long it lived says nothing. */
  replaced(): void {
    this.#acceptedAt = undefined;
  }

  /** The connection or attempt is over. `verdict` holds where no policy of the user's says otherwise. */
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
    const attempt = this.#number++;
    const context = { attempt, error, reasonCode, uptime, flapping };
    const { policy } = reconnect;
    const chosen = policy && this.#ports.decide(() => policy(context));
    if (chosen === false || chosen === Infinity) return { input: 'ended' };
    if (chosen !== undefined) return { input: 'lost', delay: chosen, flapping };
    if (verdict === 'final') return { input: 'ended' };
    const delay = backoffDelay(reconnect, attempt, this.#ports.random());
    return {
      input: 'lost',
      delay: verdict === 'patient' ? Math.max(delay, reconnect.maxDelay / 4) : delay,
      flapping,
    };
  }

  /** How long the connection was up that is over now. A connection takes the counter back, unless it is one of many. */
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
