import type { SubscriptionRequest } from '../codec/packets.ts';
import type { Connection } from '../connection/connection.ts';
import type { FilterResult } from '../errors.ts';
import { Request, type RequestWaiter } from '../session/request.ts';
import type { Session } from '../session/session.ts';
import { sessionPresence } from './connack.ts';
import type { ConnectAttempts } from './connect-attempts.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions } from './options.ts';
import type { OutboundPublish } from './outbound-publish.ts';
import type { RequestSender } from './request-sender.ts';

/** What a connection that was just accepted goes on with: the session of before, or a new one. */
export class SessionResume {
  readonly #session: Session;
  readonly #outbound: OutboundPublish;
  readonly #requests: RequestSender;
  readonly #attempts: ConnectAttempts;
  readonly #options: EngineOptions;
  readonly #effects: Effects;

  constructor(
    session: Session,
    outbound: OutboundPublish,
    requests: RequestSender,
    attempts: ConnectAttempts,
    options: EngineOptions,
    effects: Effects,
  ) {
    this.#session = session;
    this.#outbound = outbound;
    this.#requests = requests;
    this.#attempts = attempts;
    this.#options = options;
    this.#effects = effects;
  }

  resume(connection: Connection, now: number): void {
    const presence = this.#presence(connection);
    if (presence !== 'present' && this.#options.resubscribe)
      restoreSubscriptions(
        this.#session,
        // What such a session has already brings no retained messages again.
        presence === 'presumed' && this.#options.protocolVersion === 5 ? onlyNew : (entry) => entry,
        (results, givenUp) => this.#effects.changed({ type: 'refused', results, givenUp }),
      );
    // Restored subscriptions go before all that is published.
    this.#requests.flush(connection, now);
    if (presence !== 'absent') this.#outbound.resume(this.#attempts.isUnknownSession);
    else {
      const unsettled = this.#outbound.startOver();
      if (!this.#attempts.isFirst) this.#effects.changed({ type: 'sessionLost', unsettled });
    }
    this.#outbound.pump(connection, now);
  }

  #presence(connection: Connection): 'present' | 'presumed' | 'absent' {
    // What is kept here belongs to the Client Identifier of before.
    if (this.#attempts.isOtherIdentifier) return 'absent';
    const presence = sessionPresence(connection);
    // Where servers do not share sessions, this one is of an earlier time, and lacks what was subscribed to since.
    return presence === 'present' && this.#attempts.isOtherServer ? 'presumed' : presence;
  }
}

/** A subscription that brings what is retained only where it does not exist yet (3.8.3.1). */
function onlyNew(entry: SubscriptionRequest): SubscriptionRequest {
  return entry.retainHandling === 2 ? entry : { ...entry, retainHandling: 1 };
}

/**
 * The server has no session, or perhaps an old one: asks again for every subscription there was, before anything newer.
 * `refused` is told which of them the server does not grant any more, or were given up.
 */
function restoreSubscriptions(
  session: Session,
  as: (entry: SubscriptionRequest) => SubscriptionRequest,
  refused: (results: readonly FilterResult[], givenUp: ReadonlySet<string>) => void,
): void {
  const { requests, subscriptions } = session;
  const restoring = requests.queue.restoring();
  const entries = [...subscriptions.values()].filter(({ topicFilter }) => !restoring.has(topicFilter));
  if (entries.length === 0) return;
  const waiter: RequestWaiter = {
    answered(reasonCodes, givenUp) {
      const results = entries.map(({ topicFilter }, i) => ({
        topicFilter,
        reasonCode: reasonCodes[i] ?? 0x80,
      }));
      const lost = results.filter(({ reasonCode }) => reasonCode >= 0x80);
      if (lost.length > 0) refused(lost, givenUp);
    },
    // The client has ended.
    failed() {},
  };
  requests.addFirst(new Request('subscribe', entries.map(as), undefined, waiter, 'restore'));
}
