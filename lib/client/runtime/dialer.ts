import type { Credentials } from '../../engine/options.ts';
import { ConnectError, type ConnectPhase, messageOf, type MqttError, StoreError } from '../../errors.ts';
import type { DialContext, Transport } from '../../transport/transport.ts';
import type { EventQueue } from './event-queue.ts';

/** An attempt for which the application was asked. */
export interface PreparedDial {
  readonly credentials: Credentials;
  /** Opens the Network Connection. */
  readonly dial: () => Promise<Transport>;
}

/** The context of one attempt, also before there is anything to dial. */
export interface PrepareContext extends DialContext {
  onPhase(phase: ConnectPhase): void;
}

export interface DialerHost {
  readonly protocolVersion: number;
  prepare(context: PrepareContext): Promise<PreparedDial>;
  gracefulClose(): Promise<void>;
  opened(transport: Transport, credentials: Credentials): void;
  failed(error: ConnectError | StoreError): void;
}

/** The present attempt to connect: from asking the application to an open Network Connection. */
export class Dialer {
  readonly #host: DialerHost;
  readonly #events: EventQueue;
  #present: AbortController | undefined = undefined;
  #phase: ConnectPhase = 'credentials';

  /** `events`: runs functions and abort listeners of the application when the engine has returned. */
  constructor(host: DialerHost, events: EventQueue) {
    this.#host = host;
    this.#events = events;
  }

  get phase(): ConnectPhase {
    return this.#phase;
  }

  begin(attempt: number, reason: MqttError | undefined): void {
    const present = new AbortController();
    this.#present = present;
    this.#phase = 'credentials';
    const { signal } = present;
    const { protocolVersion } = this.#host;
    const onPhase = (phase: ConnectPhase): void => {
      if (present === this.#present) this.#phase = phase;
    };
    this.#events.add(() => {
      if (present === this.#present) void this.#open({ attempt, reason, signal, protocolVersion, onPhase });
    });
  }

  /** Ends the attempt. It reports nothing more. */
  abandon(): void {
    const present = this.#present;
    this.#present = undefined;
    if (present !== undefined) this.#events.add(() => present.abort());
  }

  async #open(context: PrepareContext): Promise<void> {
    const { signal } = context;
    try {
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
      // Other functions of the application may still be running: their signal tells them to stop.
      this.abandon();
      this.#host.failed(failedIn(this.#phase, cause));
    }
  }
}

/** The error of an attempt that failed in `phase`, for the caller of `connect()`. */
function failedIn(phase: ConnectPhase, cause: unknown): ConnectError | StoreError {
  // The transport knows the phase better.
  if (cause instanceof ConnectError || cause instanceof StoreError) return cause;
  return new ConnectError(phase, `no connection: ${messageOf(cause)}`, { cause });
}
