import type { PublishReader } from '../../codec/publish-reader.ts';
import { isUnclaimed, type Delivery } from '../../engine/delivery.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { Settings } from '../config/settings.ts';
import type { ClientLogger } from '../logger.ts';
import { ReceivedMessage, type Settler } from '../receive/received-message.ts';
import type { Router } from '../receive/router.ts';
import type { UnmatchedMessages } from '../receive/unmatched-messages.ts';
import type { Counters } from '../stats.ts';

interface MessageDeliveryParts {
  readonly configuration: { readonly settings: Pick<Settings<unknown>, 'unmatched'> };
  readonly counters: Counters;
  readonly driver: Settler;
  readonly logger: ClientLogger;
  readonly router: Router;
  readonly unmatched: UnmatchedMessages;
}

/** Hands incoming messages to the matching subscriptions. Holds or discards messages without one. */
export class MessageDelivery {
  readonly #parts: MessageDeliveryParts;

  constructor(parts: MessageDeliveryParts) {
    this.#parts = parts;
  }

  /** hot: the message of a PUBLISH, made once. */
  message(publish: PublishReader, receipt: Receipt | undefined): ReceivedMessage {
    const payload = receipt === undefined ? publish.payload() : receipt.payload;
    return new ReceivedMessage(publish, payload, receipt, this.#parts.driver);
  }

  /** hot */
  deliver(message: ReceivedMessage): Delivery {
    const delivery = this.#parts.router.deliver(message);
    if (delivery === 'unmatched') return this.#holdOrDiscard(message);
    return delivery === 'over' ? this.#discard('whose subscription has ended') : delivery;
  }

  /** Delivers a message outside of the engine, which settles an unclaimed one only while it delivers. */
  deliverLate(message: ReceivedMessage): void {
    const { receipt } = message;
    if (isUnclaimed(this.deliver(message)) && receipt !== undefined) this.#parts.driver.settle(receipt, 0);
  }

  /** A message of this topic was acknowledged and dropped before it was delivered. */
  overflowed(topicName: string): void {
    const { counters, router } = this.#parts;
    counters.overflowed++;
    for (const subscription of router.matching(topicName)) subscription.missed();
  }

  #holdOrDiscard(message: ReceivedMessage): Delivery {
    const { configuration, unmatched } = this.#parts;
    if (message.unsettled && configuration.settings.unmatched === 'hold') {
      unmatched.hold(message);
      return 'taken';
    }
    return this.#discard('without a matching subscription');
  }

  #discard(which: string): Delivery {
    const { counters, logger } = this.#parts;
    counters.discarded++;
    logger.debug(`a message ${which} was discarded`);
    return 'acknowledge';
  }
}
