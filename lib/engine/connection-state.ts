import type { Connection } from '../connection/connection.ts';
import { nextState, type ClientState, type Input } from './states.ts';

/** The state of the client, and its Network Connection if it has one. Only the life cycle changes it. */
export class ConnectionState {
  #state: ClientState = 'offline';
  #connection: Connection | undefined = undefined;

  get state(): ClientState {
    return this.#state;
  }

  /** The Network Connection, whose CONNACK or close may be awaited. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** hot: the connection that was accepted and is not ending. */
  get established(): Connection | undefined {
    return this.#state === 'connected' ? this.#connection : undefined;
  }

  /** hot. `up`: established; `open`: CONNACK or the close is awaited; `gone`: not the present connection. */
  phaseOf(connection: Connection): 'up' | 'open' | 'gone' {
    if (connection !== this.#connection) return 'gone';
    return this.#state === 'connected' ? 'up' : 'open';
  }

  /** Goes to the state that `input` leads to. Returns whether it changes anything. */
  go(input: Input): boolean {
    const state = nextState(this.#state, input);
    if (state === undefined) return false;
    this.#state = state;
    return true;
  }

  /** CONNECT is sent on `connection`. */
  open(connection: Connection): void {
    this.#connection = connection;
  }

  leave(): void {
    this.#connection = undefined;
  }
}
