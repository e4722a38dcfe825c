import type { Credentials } from '../../engine/options.ts';
import { ConnectError, type ConnectPhase, messageOf, type MqttError } from '../../errors.ts';
import type { DialContext, Transport } from '../../transport/transport.ts';

/** An attempt that has everything it takes. */
export interface PreparedDial {
  readonly credentials: Credentials;
  /** Opens the Network Connection. */
  readonly dial: () => Promise<Transport>;
}

/** What an attempt needs, and whom it tells how it ends. */
export interface DialerHost {
  readonly protocolVersion: number;
  /** Asks the application what to connect with, and where to. */
  prepare(context: DialContext): Promise<PreparedDial>;
  /** Resolves when the connection before is closed. */
  gracefulClose(): Promise<void>;
  opened(transport: Transport, credentials: Credentials): void;
  failed(error: ConnectError): void;
}

/** The attempt that is under way: from what it connects with to an open Network Connection. */
export class Dialer {
  readonly #host: DialerHost;
  #present: AbortController | undefined = undefined;
  #reached: ConnectPhase = 'credentials';

  constructor(host: DialerHost) {
    this.#host = host;
  }

  /** How far it has come. */
  get phase(): ConnectPhase {
    return this.#reached;
  }

  begin(attempt: number, reason: MqttError | undefined): void {
    const present = new AbortController();
    this.#present = present;
    this.#reached = 'credentials';
    const { signal } = present;
    const { protocolVersion } = this.#host;
    const reached = (phase: ConnectPhase): void => {
      if (present === this.#present) this.#reached = phase;
    };
    void this.#open({ attempt, reason, signal, protocolVersion, onPhase: reached });
  }

  /** Nothing more is heard of it. */
  abandon(): void {
    this.#present?.abort();
    this.#present = undefined;
  }

  async #open(context: DialContext & { onPhase(phase: ConnectPhase): void }): Promise<void> {
    const { signal } = context;
    try {
      // Whatever the application's functions do, they do it after the engine has finished what it is at.
      await Promise.resolve();
      signal.throwIfAborted();
      const { credentials, dial } = await this.#host.prepare(context);
      signal.throwIfAborted();
      context.onPhase('dial');
      await this.#host.gracefulClose();
      signal.throwIfAborted();
      const transport = await dial();
      if (signal.aborted) {
        transport.destroy();
        return;
      }
      this.#present = undefined;
      this.#host.opened(transport, credentials);
    } catch (cause) {
      if (signal.aborted) return;
      // One of the application's functions has failed: the others need not go on.
      this.abandon();
      this.#host.failed(failedIn(this.#reached, cause));
    }
  }
}

/** What went wrong in `phase`, for the caller of `connect()`. */
function failedIn(phase: ConnectPhase, cause: unknown): ConnectError {
  // Who opens the connection knows better.
  if (cause instanceof ConnectError) return cause;
  return new ConnectError(phase, `no connection: ${messageOf(cause)}`, { cause });
}
