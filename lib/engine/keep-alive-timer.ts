import { encode } from '../codec/codec.ts';
import type { Connection } from '../connection/connection.ts';
import { type Timers, Timer } from './timers.ts';

/** Keep Alive on a connection that is up: PINGREQ in time, and whether the other side is still there. */
export class KeepAliveTimer {
  readonly #timers: Timers;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** The other side has answered, or the connection has just come up. */
  alive(connection: Connection): void {
    connection.pingedAt = 0;
    this.#timers.stop(Timer.PingResp);
    this.#timers.set(Timer.KeepAlive, connection.keepAlive.pingDue);
  }

  /**
   * The KeepAlive timer is due. Per packet only a time is stored, so it may have to be moved. `stopped`: nothing is read,
   * so that no answer is waited for; the server's own limit is still to be kept.
   */
  keepAlive(connection: Connection, reading: 'reading' | 'stopped', now: number): void {
    const { keepAlive, pingedAt } = connection;
    const isStopped = reading === 'stopped';
    // Where the answer is waited for longer than Keep Alive, the server's own limit is still to be kept.
    const awaited = pingedAt > 0 ? keepAlive.sendDue : keepAlive.pingDue;
    const due = isStopped ? keepAlive.probeDue : awaited;
    if (due > now) {
      this.#timers.set(Timer.KeepAlive, due);
      return;
    }
    connection.outbox.append(encode({ type: 'pingreq' }, connection.protocolVersion));
    keepAlive.sentAt = now;
    this.#timers.set(Timer.KeepAlive, isStopped ? keepAlive.probeDue : keepAlive.sendDue);
    if (pingedAt > 0) return;
    connection.pingedAt = now;
    if (!isStopped) this.#timers.set(Timer.PingResp, keepAlive.silenceFatalAt(now));
  }

  /** Nothing is read from now on: PINGREQ goes out more often, as its write is what notices a dead connection. */
  stopped({ keepAlive }: Connection): void {
    const due = keepAlive.probeDue;
    if (due < this.#timers.at(Timer.KeepAlive)) this.#timers.set(Timer.KeepAlive, due);
  }

  /** Reading goes on: the wait for an answer begins anew. */
  resumed(connection: Connection, now: number): void {
    const { keepAlive } = connection;
    keepAlive.receivedAt = now;
    if (connection.pingedAt === 0) return this.alive(connection);
    connection.pingedAt = now;
    this.#timers.set(Timer.PingResp, keepAlive.silenceFatalAt(now));
    this.#timers.set(Timer.KeepAlive, keepAlive.sendDue);
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
    const fatal = keepAlive.silenceFatalAt(pingedAt);
    if (fatal <= now) return true;
    this.#timers.set(Timer.PingResp, fatal);
    return false;
  }
}
