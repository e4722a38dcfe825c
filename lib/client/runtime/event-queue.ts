/**
 * Keeps the engine from being re-entered. While the engine runs, it must not be called, so nothing that may call the
 * client is run: the application's logger, policy, transport and abort listeners, and the reactions to changes. These
 * are queued, and run in order as soon as the engine has returned, before the call that entered it returns.
 *
 * An event may call the client, and so enter the engine again. What comes of that is queued behind the events that
 * wait: no event starts while another one runs.
 */
export class EventQueue {
  readonly #events: (() => void)[] = [];
  #engine: 'returned' | 'running' = 'returned';
  #phase: 'idle' | 'handing out' = 'idle';

  /** hot: the engine is about to be called. */
  enter(): void {
    this.#engine = 'running';
  }

  /** hot: the engine has returned, or thrown. Runs what was queued, unless an outer call already does. */
  leave(): void {
    this.#engine = 'returned';
    if (this.#events.length > 0 && this.#phase === 'idle') this.#handOut();
  }

  /** Runs `event` when the engine has returned: at once if it is not running. */
  add(event: () => void): void {
    if (this.#engine === 'running') this.#events.push(event);
    else event();
  }

  #handOut(): void {
    this.#phase = 'handing out';
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) next();
    } finally {
      this.#phase = 'idle';
    }
  }
}
