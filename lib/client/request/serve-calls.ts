import type { ProtocolVersion } from '../../codec/packets.ts';
import { topicFilterError } from '../../topic/filters.ts';
import { callable, checkKeys, choice, string } from '../config/validate.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import type { Logger } from '../logger.ts';
import type { PublishCalls } from '../publish/publish-calls.ts';
import type { Clock } from '../runtime/clock.ts';
import { ClientService } from './client-service.ts';
import type { RequestCounters } from './request-counts.ts';
import type { Subscribe } from './response-subscription.ts';
import type { ServeOptions } from './service.ts';
import { requestFilter } from './topic-convention.ts';

interface ServeCallsParts {
  readonly clock: Clock;
  readonly counters: RequestCounters;
  readonly logger: Logger;
  readonly publishCalls: PublishCalls;
  readonly subscribe: Subscribe;
  readonly version: ProtocolVersion;
}

const KEYS = [
  'qos',
  'buffer',
  'overflow',
  'properties',
  'signal',
  'timeout',
  'share',
  'duplicates',
  'replyTo',
  'convention',
];
/** A retained message is no request of now. */
const NO_RETAINED = 2;

const all = (): boolean => true;

/** `serve()`. */
export class ServeCalls {
  readonly #parts: ServeCallsParts;
  /**
   * When messages with a Message Expiry arrived, by their properties: a message has the same ones when it is handed out
   * again. It may have waited long until a loop takes it.
   */
  readonly #arrivals = new WeakMap<object, number>();

  constructor(parts: ServeCallsParts) {
    this.#parts = parts;
  }

  /** Resolves on SUBACK. Rejects on wrong arguments, and with what `subscribe()` rejects with. */
  async serve(topicFilter: string, options: ServeOptions): Promise<ClientService> {
    const { share, duplicates, replyTo, convention, ...others } = checkKeys(
      'serve',
      options,
      KEYS,
    ) as ServeOptions;
    const { version } = this.#parts;
    if (convention !== undefined) choice('topic')('convention', convention);
    if (version < 5 && convention === undefined)
      throw new TypeError(
        `convention: expected "topic", as MQTT ${version === 4 ? '3.1.1' : '3.1'} has no Response Topic, got none`,
      );
    const settings = {
      convention,
      duplicates: choice('answer-again', 'handle')('duplicates', duplicates ?? 'answer-again'),
      replyTo: callable<NonNullable<ServeOptions['replyTo']>>('replyTo', replyTo ?? all),
      canHaveProperties: version === 5,
    };
    const filter = filterOf(topicFilter, share, convention);
    const subscription = await this.#parts.subscribe(
      filter,
      { ...others, ack: 'processed', ...(version === 5 && { retainHandling: NO_RETAINED }) },
      () => {},
    );
    return new ClientService(subscription, settings, {
      ...this.#parts,
      arrivalOf: (message) => this.#arrivalOf(message),
    });
  }

  /** A message arrived. */
  arrived({ properties }: ReceivedMessage): void {
    if (properties.messageExpiryInterval !== undefined && properties.responseTopic !== undefined)
      this.#arrivals.set(properties, this.#parts.clock.now());
  }

  /** A message that arrived before `serve()` was called counts from the time when a loop takes it. */
  #arrivalOf({ properties }: ReceivedMessage): number {
    let arrival = this.#arrivals.get(properties);
    if (arrival === undefined) {
      arrival = this.#parts.clock.now();
      this.#arrivals.set(properties, arrival);
    }
    return arrival;
  }
}

function filterOf(topicFilter: string, share: string | undefined, convention: 'topic' | undefined): string {
  const wrong = topicFilterError(string('topicFilter', topicFilter));
  if (wrong !== undefined) throw new TypeError(`topicFilter: ${wrong}`);
  const filter = convention === undefined ? topicFilter : requestFilter(topicFilter);
  if (share === undefined) return filter;
  if (topicFilter.startsWith('$share/'))
    throw new TypeError('share: expected none with a Topic Filter that begins with $share/');
  if (!/^[^/+#\0]+$/.test(string('share', share)))
    throw new TypeError('share: expected at least one character, and none of / + #');
  return `$share/${share}/${filter}`;
}
