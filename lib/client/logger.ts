import { types } from 'node:util';

/** Where log lines go: `console` and pino fit. One that throws is survived. Passwords and payloads never reach it. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** A logger that never throws. Without one of the user's it does nothing. */
export class ClientLogger implements Logger {
  #logger: Logger | undefined;

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  /** From now on lines go to another one, or nowhere. */
  use(logger: Logger | undefined): void {
    this.#logger = logger;
  }

  debug(message: string): void {
    this.#write('debug', message);
  }

  info(message: string): void {
    this.#write('info', message);
  }

  warn(message: string): void {
    this.#write('warn', message);
  }

  error(message: string): void {
    this.#write('error', message);
  }

  #write(level: keyof Logger, message: string): void {
    try {
      const written: unknown = this.#logger?.[level](message);
      // One that is asynchronous may fail later.
      if (types.isPromise(written)) written.catch(() => {});
    } catch {
      // The user's logger is broken: there is nowhere to say so, and it must not take the client down.
    }
  }
}
