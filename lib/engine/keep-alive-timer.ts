import { encode } from '../codec/codec.ts';
import type { Connection } from '../connection/connection.ts';
import { type Timers, Timer } from './timers.ts';

/** Keep Alive on an accepted connection: sends PINGREQ in time, and detects a server that is gone. */
export class KeepAliveTimer {
  readonly #timers: Timers;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** The server has answered, or the connection was just accepted. */
  alive(connection: Connection): void {
    connection.pingedAt = 0;
    this.#timers.stop(Timer.PingResp);
    this.#timers.set(Timer.KeepAlive, connection.keepAlive.pingDue); // fault: keep-alive
  }

  /**
   * The KeepAlive timer is due. Packets only store their time, so the timer may have to move. `stopped`: the client does
   * not read, so it awaits no answer, but still has to keep to the server's limit.
   */
  keepAlive(connection: Connection, reading: 'reading' | 'stopped', now: number): void {
    const { keepAlive, pingedAt } = connection;
    const isStopped = reading === 'stopped';
    // If PINGRESP may take longer than Keep Alive, PINGREQ is sent again within the server's limit.
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

  /** Reading stops: PINGREQ is sent more often, since only its write detects a dead connection. */
  stopped({ keepAlive }: Connection): void {
    const due = keepAlive.probeDue;
    if (due < this.#timers.at(Timer.KeepAlive)) this.#timers.set(Timer.KeepAlive, due);
  }

  /** Reading continues: the wait for an answer starts again. */
  resumed(connection: Connection, now: number): void {
    const { keepAlive } = connection;
    keepAlive.receivedAt = now;
    if (connection.pingedAt === 0) return this.alive(connection);
    connection.pingedAt = now;
    this.#timers.set(Timer.PingResp, keepAlive.silenceFatalAt(now));
    this.#timers.set(Timer.KeepAlive, keepAlive.sendDue);
  }

  /**
   * The PingResp timer is due: returns whether the silence is fatal. Any byte since the PINGREQ is an answer. Output that
   * the server took since then extends the wait.
   */
  silent(connection: Connection, now: number): boolean {
    const { keepAlive, pingedAt } = connection;
    if (keepAlive.receivedAt > pingedAt) {
      this.alive(connection);
      return false;
    }
    const fatal = keepAlive.silenceFatalAt(pingedAt);
    if (fatal <= now) return true; // fault: ping-timeout
    this.#timers.set(Timer.PingResp, fatal);
    return false;
  }
}
