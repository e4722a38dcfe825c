import type { Connection } from '../connection/connection.ts';
import { ConnectionLostError } from '../errors.ts';
import type { Acknowledging } from './acknowledgements.ts';
import { type Deadlines, Timer } from './timers.ts';
import type { FlowControl } from './flow-control.ts';
import type { Liveness } from './keep-alive-timer.ts';
import type { EngineOptions } from './options.ts';
import type { Publishing } from './outbound-publish.ts';
import type { Requesting } from './request-sender.ts';

/** Who is told that a time is over. */
export interface TimedParts {
  readonly liveness: Liveness;
  readonly acknowledging: Pick<Acknowledging, 'expire'>;
  readonly publishing: Pick<Publishing, 'retry' | 'overdue' | 'pump'>;
  readonly requesting: Pick<Requesting, 'proved'>;
  readonly flow: Pick<FlowControl, 'expire' | 'isStopped'>;
}

/** Does what is due on a connection that is up. */
export class ConnectionTimers {
  readonly #deadlines: Deadlines;
  readonly #parts: TimedParts;
  readonly #options: EngineOptions;

  constructor(deadlines: Deadlines, parts: TimedParts, options: EngineOptions) {
    this.#deadlines = deadlines;
    this.#parts = parts;
    this.#options = options;
  }

  /** Returns the error that the connection is to be closed with, if any. */
  expire(connection: Connection, now: number): ConnectionLostError | undefined {
    const deadlines = this.#deadlines;
    const { acknowledging, liveness, publishing, requesting, flow } = this.#parts;
    if (deadlines.expire(Timer.Stall, now)) acknowledging.expire(now);
    if (deadlines.expire(Timer.LastResort, now)) flow.expire(now);
    if (deadlines.expire(Timer.Trial, now)) {
      requesting.proved(connection, now);
      publishing.pump(connection, now);
    }
    if (!flow.isStopped) return this.#judge(connection, now);
    if (deadlines.expire(Timer.KeepAlive, now)) liveness.keepAlive(connection, 'stopped', now);
    return undefined;
  }

  /** What the silence of the server says. */
  #judge(connection: Connection, now: number): ConnectionLostError | undefined {
    const deadlines = this.#deadlines;
    const { liveness, publishing } = this.#parts;
    if (deadlines.expire(Timer.PingResp, now) && liveness.silent(connection, now))
      return new ConnectionLostError('closed: the server did not answer PINGREQ in time');
    if (deadlines.expire(Timer.KeepAlive, now)) liveness.keepAlive(connection, 'reading', now);
    if (deadlines.expire(Timer.Retry, now)) publishing.retry(connection, now);
    if (deadlines.expire(Timer.Watchdog, now) && publishing.overdue(connection, now))
      return new ConnectionLostError(
        `closed: an exchange was unanswered for ${this.#options.ackTimeout} ms (ackTimeout)`,
      );
    return undefined;
  }
}
