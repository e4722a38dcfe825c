import type { Counts } from '../engine/counts.ts';
import type { MqttError } from '../errors.ts';
import type { Driver } from './runtime/driver.ts';
import type { UnmatchedMessages } from './receive/unmatched-messages.ts';
import type { Router } from './receive/router.ts';

/** How it stands with a client; counters run from its making. */
export interface ClientStats extends Counts {
  /** Messages that wait for a subscription. */
  readonly held: number;
  /** Messages acknowledged, or let go with QoS 0, that nobody took: there was no subscription, or it had ended. */
  readonly discarded: number;
  /** QoS 1 and 2 messages acknowledged and dropped, as a last resort. */
  readonly overflowed: number;
  /** QoS 1 and 2 messages that the server sent beyond Receive Maximum (5.0). */
  readonly beyondReceiveMaximum: number;
  /** `stopped`: nothing is read from the network, as the application is too slow for what comes. */
  readonly reading: 'on' | 'stopped';
  /** Per subscription what waits in it, and what its limits have let go. */
  readonly subscriptions: readonly {
    readonly topicFilters: readonly string[];
    readonly depth: number;
    readonly dropped: number;
  }[];
  /** Connections lost and attempts failed, by what went wrong: the `code` of the error, with its phase or Reason Code. */
  readonly failures: Readonly<Record<string, number>>;
  readonly bytes: { readonly sent: number; readonly received: number };
  readonly packets: { readonly sent: number; readonly received: number };
  /** ms from our last packet of an exchange to the acknowledgement that ended it. */
  readonly roundTrip: { readonly count: number; readonly mean: number; readonly max: number };
  /** ms that the process was late for a timer, at the most: how long it was busy with something else. */
  readonly maxTimerLag: number;
  /** The error that ended the last connection or attempt, also after the next one has succeeded. */
  readonly lastError: MqttError | undefined;
  /** ms since the client came into its present `state`. */
  readonly inStateFor: number;
}

/** What is counted for `stats()` where it happens. */
export class Counters {
  discarded = 0;
  overflowed = 0;
  lastError: MqttError | undefined = undefined;
  readonly #failures = new Map<string, number>();

  failed(error: MqttError): void {
    this.lastError = error;
    const reason = reasonOf(error);
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
  }

  /** Everything, as it stands now. */
  take(driver: Driver, router: Router, parking: UnmatchedMessages): ClientStats {
    const { traffic, counts: load, maxTimerLag: lateness, inState: since } = driver;
    const { answered: count, roundTrips, longestRoundTrip: max } = traffic;
    return {
      ...load,
      held: parking.depth,
      discarded: this.discarded,
      overflowed: this.overflowed,
      beyondReceiveMaximum: traffic.beyondReceiveMaximum,
      reading: driver.isReading ? 'on' : 'stopped',
      subscriptions: router.subscriptions.map(({ topicFilters, depth, dropped }) => ({
        topicFilters,
        depth,
        dropped,
      })),
      failures: Object.fromEntries(this.#failures),
      bytes: { sent: traffic.bytesSent, received: traffic.bytesReceived },
      packets: { sent: traffic.packetsSent, received: traffic.packetsReceived },
      roundTrip: { count, mean: count === 0 ? 0 : roundTrips / count, max },
      maxTimerLag: lateness,
      lastError: this.lastError,
      inStateFor: since,
    };
  }
}

/** `ERR_MQTT_CONNECT dial`, `ERR_MQTT_CONNECTION_LOST 0x8e`: nothing that varies without end. */
function reasonOf(error: MqttError): string {
  const { phase, reasonCode } = error as { phase?: unknown; reasonCode?: unknown };
  const where = typeof phase === 'string' ? ` ${phase}` : '';
  // A `ConnectError` of a transport of the application's own may have anything there.
  const code = typeof reasonCode === 'number' ? ` 0x${reasonCode.toString(16).padStart(2, '0')}` : '';
  return `${error.code}${where}${code}`;
}
