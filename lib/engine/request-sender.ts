import type { Text } from '../codec/text.ts';
import type { Connection } from '../connection/connection.ts';
import { ClosedError, TimeoutError } from '../errors.ts';
import type { Request } from '../session/requests.ts';
import type { Session } from '../session/session.ts';
import { type Timers, Timer } from './timers.ts';
import type { ClientState } from './states.ts';
import type { EngineOptions } from './options.ts';
import { writeRequests, writeSuspects } from './packet-writer.ts';
import type { Quarantine } from './quarantine.ts';

/** When SUBSCRIBE and UNSUBSCRIBE go out, and when their answers are late. */
export class RequestSender {
  readonly #session: Session;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #text: Text;
  readonly #quarantine: Quarantine;

  constructor(session: Session, timers: Timers, options: EngineOptions, text: Text, quarantine: Quarantine) {
    this.#session = session;
    this.#timers = timers;
    this.#options = options;
    this.#text = text;
    this.#quarantine = quarantine;
  }

  /** Takes `request` over; its waiter is told how it ends. */
  add(request: Request, state: ClientState): void {
    if (state === 'closed' || state === 'disconnecting')
      request.fail(new ClosedError('the client is closed'));
    else this.#session.requests.add(request);
  }

  /** Nobody waits for `request` any longer. What is on the wire is answered for nobody. */
  withdraw(request: Request): void {
    request.waiter = undefined;
    this.#session.requests.withdraw(request);
  }

  /** Writes what can go now: those of one turn share packets. Nothing goes out beside a suspect. */
  flush(connection: Connection, now: number): void {
    const quarantine = this.#quarantine;
    if (this.#session.requests.waiting === 0) return this.#watch();
    if (!quarantine.isTrying && !quarantine.requestIsDue)
      writeRequests(this.#session, connection, this.#text, this.#options, now);
    else if (quarantine.requestIsDue && connection.quota.used === 0) {
      const packet = writeSuspects(this.#session, connection, this.#text, this.#options, now);
      if (packet !== undefined) quarantine.startTrial(packet);
    }
    this.#watch();
  }

  /** The Trial timer is due: see `Quarantine`. */
  proved(connection: Connection, now: number): void {
    this.#quarantine.proved();
    this.flush(connection, now);
  }

  /** The Ack timer is due. It runs across connections. */
  expire(now: number): void {
    const ms = this.#options.requestTimeout;
    for (const request of this.#session.requests.takeLate(now))
      request.fail(new TimeoutError(`${request.kind} was not answered within ${ms} ms (requestTimeout)`));
    this.#watch();
  }

  /** Reading goes on after it had stopped: the time for each answer begins anew. */
  judgeFrom(now: number): void {
    this.#session.requests.postpone(now + this.#options.requestTimeout);
    this.#watch();
  }

  #watch(): void {
    this.#timers.set(Timer.Ack, this.#session.requests.nextDue);
  }
}
