import type { Connection } from '../connection/connection.ts';
import { ConnectionLostError } from '../errors.ts';
import { type Deadlines, Timer } from './deadlines.ts';
import type { Liveness } from './liveness.ts';
import type { EngineOptions } from './options.ts';
import type { Publishing } from './publishing.ts';

/**
 * Does what is due on a connection that is up. Returns why the connection is to be closed, if it is. `held`: output is
 * held back.
 */
export function expireOn(
  connection: Connection,
  deadlines: Deadlines,
  liveness: Liveness,
  publishing: Publishing,
  options: EngineOptions,
  held: boolean,
  now: number,
): ConnectionLostError | undefined {
  if (deadlines.expire(Timer.PingResp, now) && liveness.silent(connection, now))
    return new ConnectionLostError('closed: the server did not answer PINGREQ in time');
  if (deadlines.expire(Timer.KeepAlive, now)) liveness.keepAlive(connection, now);
  if (deadlines.expire(Timer.Retry, now)) publishing.retry(connection, held, now);
  if (deadlines.expire(Timer.Watchdog, now) && publishing.overdue(connection, now))
    return new ConnectionLostError(
      `closed: an exchange was unanswered for ${options.ackTimeout} ms (ackTimeout)`,
    );
  return undefined;
}
