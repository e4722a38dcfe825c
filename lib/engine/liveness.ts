import { encode } from '../codec/codec.ts';
import type { Connection } from '../connection/connection.ts';
import { type Deadlines, Timer } from './deadlines.ts';

/** Keep Alive on a connection that is up: PINGREQ in time, and whether the other side is still there. */
export class Liveness {
  readonly #deadlines: Deadlines;

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  /** The other side has answered, or the connection has just come up. */
  alive(connection: Connection): void {
    connection.pingedAt = 0;
    this.#deadlines.stop(Timer.PingResp);
    this.#deadlines.set(Timer.KeepAlive, connection.keepAlive.pingDue);
  }

  /** The KeepAlive timer is due. Per packet only a time is stored, so it may have to be moved. */
  keepAlive(connection: Connection, now: number): void {
    const { keepAlive, pingedAt } = connection;
    // Where the answer is waited for longer than Keep Alive, the server's own limit is still to be kept.
    const due = pingedAt > 0 ? keepAlive.sendDue : keepAlive.pingDue;
    if (due > now) {
      this.#deadlines.set(Timer.KeepAlive, due);
      return;
    }
    connection.outbox.append(encode({ type: 'pingreq' }, connection.protocolVersion));
    keepAlive.sentAt = now;
    this.#deadlines.set(Timer.KeepAlive, keepAlive.sendDue);
    if (pingedAt > 0) return;
    connection.pingedAt = now;
    this.#deadlines.set(Timer.PingResp, connection.keepAlive.silenceFatal(now));
  }

  /**
   * The PingResp timer is due: returns whether the silence is fatal. Any byte since the PINGREQ is an answer; output
   * that moved since then is a sign of life, from which the wait starts anew.
   */
  silent(connection: Connection, now: number): boolean {
    const { keepAlive, pingedAt } = connection;
    if (keepAlive.receivedAt > pingedAt) {
      this.alive(connection);
      return false;
    }
    const fatal = keepAlive.silenceFatal(pingedAt);
    if (fatal <= now) return true;
    this.#deadlines.set(Timer.PingResp, fatal);
    return false;
  }
}
