import { types } from 'node:util';
import { EventQueue } from './runtime/event-queue.ts';

/**
 * Where log lines go: `console` and pino fit. What it throws is ignored. It may call the client. Passwords and payloads
 * never reach it.
 */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** The application's logger, which may be absent. It never throws, and is not called while the engine runs. */
export class ClientLogger implements Logger {
  readonly #events: EventQueue;
  #logger: Logger | undefined;

  constructor(logger: Logger | undefined, events: EventQueue = new EventQueue()) {
    this.#logger = logger;
    this.#events = events;
  }

  use(logger: Logger | undefined): void {
    this.#logger = logger;
  }

  debug(message: string): void {
    this.#log('debug', message);
  }

  info(message: string): void {
    this.#log('info', message);
  }

  warn(message: string): void {
    this.#log('warn', message);
  }

  error(message: string): void {
    this.#log('error', message);
  }

  #log(level: keyof Logger, message: string): void {
    if (this.#logger === undefined) return;
    this.#events.add(() => {
      try {
        const written: unknown = this.#logger?.[level](message);
        // An asynchronous logger may fail later.
        if (types.isPromise(written)) written.catch(() => {});
      } catch {
        // A logger that fails must not end the client, and there is nowhere to report it.
      }
    });
  }
}
