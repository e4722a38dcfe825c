import type { Connection } from '../connection/connection.ts';
import { ConnectionLostError } from '../errors.ts';
import type { EngineContext } from './engine-context.ts';
import { type Timers, Timer } from './timers.ts';
import type { EngineOptions } from './options.ts';
import type { EngineParts } from './engine-parts.ts';

/** Runs the timers of an accepted connection. */
export class ConnectionTimers {
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #parts: EngineParts;

  constructor(context: Pick<EngineContext, 'timers' | 'options'>, parts: EngineParts) {
    ({ timers: this.#timers, options: this.#options } = context);
    this.#parts = parts;
  }

  /** Handles the timers that are due. Returns the error to close the connection with, if any. */
  expire(connection: Connection, now: number): ConnectionLostError | undefined {
    const timers = this.#timers;
    const { acknowledgements, authentication, keepAliveTimer, outbound, requests, flow } = this.#parts;
    if (timers.expire(Timer.Stall, now)) acknowledgements.expire(now);
    if (timers.expire(Timer.LastResort, now)) flow.expire(now);
    if (timers.expire(Timer.Trial, now)) {
      requests.trialOver(connection, now);
      outbound.pump(connection, now);
    }
    if (flow.isStopped) {
      if (timers.expire(Timer.KeepAlive, now)) keepAliveTimer.keepAlive(connection, 'stopped', now); // fault: ping-stopped
      return undefined;
    }
    // The client reads, so the server's silence means something.
    if (timers.expire(Timer.PingResp, now) && keepAliveTimer.silent(connection, now))
      return new ConnectionLostError('closed: the server did not answer PINGREQ in time');
    if (timers.expire(Timer.Authentication, now)) {
      const late = authentication.expire(connection);
      if (late !== undefined) return late;
    }
    if (timers.expire(Timer.KeepAlive, now)) keepAliveTimer.keepAlive(connection, 'reading', now);
    if (timers.expire(Timer.Retry, now)) outbound.retry(connection, now);
    if (timers.expire(Timer.Watchdog, now) && outbound.isAckOverdue(connection, now))
      return new ConnectionLostError(
        `closed: an exchange was unanswered for ${this.#options.ackTimeout} ms (ackTimeout)`,
      );
    return undefined;
  }
}
