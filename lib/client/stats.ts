import type { Counts } from '../engine/counts.ts';
import type { MqttError } from '../errors.ts';
import type { RequestCounts } from './request/request-counts.ts';
import type { Driver } from './runtime/driver.ts';
import type { UnmatchedMessages } from './receive/unmatched-messages.ts';
import type { Router } from './receive/router.ts';

/** Client statistics. Counters run from construction. */
export interface ClientStats extends Omit<Counts, 'stored'> {
  /**
   * Published messages in the store that are not over, in flight or waiting, and their bytes; all 0 without a store.
   * `failed`: stored messages without a call that waited for them that were not delivered (`publish-failed`).
   */
  readonly stored: Counts['stored'] & { readonly failed: number };
  /** Messages held without a subscription (`unmatched`). */
  readonly held: number;
  /** Messages discarded because there was no subscription, or it had ended. With QoS 1 and 2 they were acknowledged. */
  readonly discarded: number;
  /** QoS 1 and 2 messages acknowledged and dropped, as a last resort. */
  readonly overflowed: number;
  /** QoS 1 and 2 messages that the server sent beyond Receive Maximum (5.0). */
  readonly beyondReceiveMaximum: number;
  /** `stopped`: nothing is read from the network, because the application is too slow for what arrives. */
  readonly reading: 'on' | 'stopped';
  /** Per subscription: messages waiting, and messages dropped by its limits. */
  readonly subscriptions: readonly {
    readonly topicFilters: readonly string[];
    readonly depth: number;
    readonly dropped: number;
  }[];
  /** Of `request()`, `requestMany()` and `serve()`. */
  readonly requests: RequestCounts;
  /** Lost connections and failed attempts, by the `code` of the error with its phase or Reason Code. */
  readonly failures: Readonly<Record<string, number>>;
  readonly bytes: { readonly sent: number; readonly received: number };
  readonly packets: { readonly sent: number; readonly received: number };
  /** ms from the last packet of an exchange that was sent to the acknowledgement that ended it. */
  readonly roundTrip: { readonly count: number; readonly mean: number; readonly max: number };
  /** How late a timer was at most, in ms: how long the process was busy. */
  readonly maxTimerLag: number;
  /** The error that ended the last connection or attempt. A later success does not reset it. */
  readonly lastError: MqttError | undefined;
  /** How long the client has been in its present `state`, in ms. */
  readonly inStateFor: number;
}

/** Counters of `stats()` that are incremented as things happen. */
export class Counters {
  discarded = 0;
  overflowed = 0;
  /** Messages that failed, and that no call waited for. */
  unattended = 0;
  lastError: MqttError | undefined = undefined;
  #failures: Map<string, number> | undefined = undefined;

  failed(error: MqttError): void {
    this.lastError = error;
    const reason = reasonOf(error);
    this.#failures ??= new Map();
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
  }

  /** The statistics of this moment, but for those of requests. */
  take(driver: Driver, router: Router, unmatched: UnmatchedMessages): Omit<ClientStats, 'requests'> {
    const { traffic, counts, maxTimerLag, inStateFor } = driver;
    const { answered: count, roundTrips, longestRoundTrip: max } = traffic;
    return {
      ...counts,
      stored: { ...counts.stored, failed: this.unattended },
      held: unmatched.depth,
      discarded: this.discarded,
      overflowed: this.overflowed,
      beyondReceiveMaximum: traffic.beyondReceiveMaximum,
      reading: driver.isReading ? 'on' : 'stopped',
      subscriptions: router.subscriptions.map(({ topicFilters, depth, dropped }) => ({
        topicFilters,
        depth,
        dropped,
      })),
      failures: Object.fromEntries(this.#failures ?? []),
      bytes: { sent: traffic.bytesSent, received: traffic.bytesReceived },
      packets: { sent: traffic.packetsSent, received: traffic.packetsReceived },
      roundTrip: { count, mean: count === 0 ? 0 : roundTrips / count, max },
      maxTimerLag,
      lastError: this.lastError,
      inStateFor,
    };
  }
}

/** `ERR_MQTT_CONNECT dial`, `ERR_MQTT_CONNECTION_LOST 0x8e`: a limited set of keys. */
function reasonOf(error: MqttError): string {
  const { phase, reasonCode } = error as { phase?: unknown; reasonCode?: unknown };
  const where = typeof phase === 'string' ? ` ${phase}` : '';
  // A `ConnectError` of an application's transport may have anything there.
  const code = typeof reasonCode === 'number' ? ` 0x${reasonCode.toString(16).padStart(2, '0')}` : '';
  return `${error.code}${where}${code}`;
}
