import type { ProtocolVersion } from '../../codec/packets.ts';
import type { PublishReader } from '../../codec/publish-reader.ts';
import type { SessionPresence } from '../../engine/connack.ts';
import type { Delivery } from '../../engine/delivery.ts';
import type { MqttError } from '../../errors.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { Settings } from '../config/settings.ts';
import type { ClientLogger } from '../logger.ts';
import type { BufferPressure } from '../receive/buffer-pressure.ts';
import { OverflowReports } from '../receive/overflow-reports.ts';
import { Router } from '../receive/router.ts';
import { firstIdentifier } from '../receive/subscription-identifiers.ts';
import { StallDetector } from '../receive/stall-detector.ts';
import { SubscribeCalls } from '../receive/subscribe-calls.ts';
import { UnmatchedMessages } from '../receive/unmatched-messages.ts';
import type { RequestResponse } from '../request/request-response.ts';
import type { Counters } from '../stats.ts';
import type { Status } from '../status.ts';
import type { Clock } from './clock.ts';
import { Drain } from './drain.ts';
import type { Driver } from './driver.ts';
import { MessageDelivery } from './message-delivery.ts';

interface Dependencies {
  readonly clock: Clock;
  readonly configuration: { readonly settings: Settings<unknown> };
  readonly counters: Counters;
  readonly driver: Driver;
  readonly logger: ClientLogger;
  readonly persistent: boolean;
  readonly pressure: BufferPressure;
  readonly random: () => number;
  readonly status: Status;
  readonly version: ProtocolVersion;
}

/** Everything that a client needs to receive messages. It is made when the first one arrives or `subscribe()` is called. */
export class InboundParts {
  readonly router: Router;
  readonly unmatched: UnmatchedMessages;
  readonly drain: Drain;
  readonly subscribeCalls: SubscribeCalls;
  readonly #counters: Counters;
  readonly #delivery: MessageDelivery;
  readonly #stallDetector: StallDetector;
  readonly #overflowReports: OverflowReports;

  constructor(parts: Dependencies) {
    const { clock, configuration, counters, driver, logger, persistent, pressure, status, version } = parts;
    const { random } = parts;
    const identifier = version === 5 ? firstIdentifier(persistent, random) : undefined;
    const router = new Router(() => clock.now(), identifier);
    const unmatched = new UnmatchedMessages({ clock, driver, logger, pressure });
    const delivery = new MessageDelivery({ configuration, counters, driver, logger, router, unmatched });
    const drain = new Drain({ clock, delivery, driver, router, unmatched });
    const overflowReports = new OverflowReports(clock, status);
    this.router = router;
    this.unmatched = unmatched;
    this.drain = drain;
    this.subscribeCalls = new SubscribeCalls({
      clock,
      counters,
      drain,
      driver,
      logger,
      overflowReports,
      persistent,
      pressure,
      router,
      version,
    });
    this.#counters = counters;
    this.#delivery = delivery;
    this.#stallDetector = new StallDetector({
      clock,
      configuration,
      driver,
      logger,
      persistent,
      router,
      status,
    });
    this.#overflowReports = overflowReports;
  }

  /** hot */
  deliver(
    publish: PublishReader,
    receipt: Receipt | undefined,
    requests: RequestResponse | undefined,
  ): Delivery {
    if (receipt !== undefined) this.#stallDetector.arrived();
    const message = this.#delivery.message(publish, receipt);
    if (requests !== undefined) {
      if (requests.arrived(message) === 'leftover') return 'acknowledge';
      if (this.drain.isActive && requests.isReply(message.topic)) return this.#delivery.deliver(message);
    }
    if (!this.drain.intercept(message)) return this.#delivery.deliver(message);
    if (receipt === undefined) this.#counters.discarded++;
    return 'taken';
  }

  /** A message of this topic was acknowledged and dropped before it was delivered. */
  overflowed(topicName: string): void {
    this.#delivery.overflowed(topicName);
  }

  connected(sessionPresent: boolean, presence: SessionPresence): void {
    const { router } = this;
    this.unmatched.connected();
    if (!sessionPresent) router.restored();
    if (presence !== 'present') router.requestedAgain();
    if (presence === 'absent') router.forgetFormer();
  }

  /** The client stops reading. */
  stopped(): void {
    this.#stallDetector.stopped();
  }

  /** The application has not settled the messages of `receipts` for `ms`. */
  unsettled(receipts: readonly Receipt[], ms: number): void {
    this.#stallDetector.unsettled(receipts, ms);
  }

  sessionLost(): void {
    this.unmatched.clear();
    for (const subscription of this.router.subscriptions) subscription.sessionLost(); // fault: lost-session
  }

  /** The client has ended. */
  closed(error: MqttError | undefined): void {
    this.unmatched.clear();
    this.#stallDetector.stop();
    this.#overflowReports.stop();
    this.subscribeCalls.endAll(error);
  }
}
