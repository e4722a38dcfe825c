import type { Connection } from '../connection/connection.ts';
import type { FilterResult } from '../errors.ts';
import type { Journal } from '../session/journal.ts';
import { Request, type RequestWaiter, type SubscriptionEntry } from '../session/request.ts';
import type { Session } from '../session/session.ts';
import { sessionPresence, type SessionPresence } from './connack.ts';
import type { ConnectAttempts } from './connect-attempts.ts';
import type { EngineContext } from './engine-context.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions } from './options.ts';
import type { OutboundPublish } from './outbound-publish.ts';
import type { RequestSender } from './request-sender.ts';

/** Resumes the session on a new connection, or starts it over. */
export class SessionResume {
  readonly #session: Session;
  readonly #outbound: OutboundPublish;
  readonly #requests: RequestSender;
  readonly #attempts: ConnectAttempts;
  readonly #options: EngineOptions;
  readonly #effects: Effects;
  readonly #journal: Journal | undefined;

  constructor(
    context: EngineContext,
    outbound: OutboundPublish,
    requests: RequestSender,
    attempts: ConnectAttempts,
  ) {
    ({ session: this.#session, options: this.#options, effects: this.#effects } = context);
    this.#journal = context.journal;
    this.#outbound = outbound;
    this.#requests = requests;
    this.#attempts = attempts;
  }

  resume(connection: Connection, now: number): void {
    const presence = this.presence(connection);
    if (presence !== 'present' && this.#options.resubscribe)
      // fault: resubscribe
      restoreSubscriptions(
        this.#session,
        // An existing subscription must not bring its retained messages again.
        presence === 'presumed' && this.#options.protocolVersion === 5 ? onlyNew : (entry) => entry,
        (results, givenUp) => this.#restored(results, givenUp),
      );
    // Subscriptions are restored before anything is published.
    this.#requests.flush(connection, now);
    if (presence !== 'absent') this.#outbound.resume(this.#isUnknownSession); // fault: absent-session
    else {
      const unsettled = this.#outbound.startOver();
      if (!this.#attempts.isFirst) this.#effects.changed({ type: 'sessionLost', unsettled });
    }
    this.#outbound.pump(connection, now);
  }

  /** Whether another client may have used the session. A store knows what this one has done before. */
  get #isUnknownSession(): boolean {
    const { isFirst, isUnknownSession } = this.#attempts;
    return isUnknownSession && !(isFirst && this.#journal?.isKnown === true);
  }

  #restored(results: readonly FilterResult[], givenUp: ReadonlySet<string>): void {
    const refused = results.filter(({ reasonCode }) => reasonCode >= 0x80);
    const granted = results.filter(({ reasonCode }) => reasonCode < 0x80);
    const topicFilters = granted.map(({ topicFilter }) => topicFilter);
    if (granted.length > 0) this.#effects.changed({ type: 'restored', topicFilters });
    if (refused.length > 0) this.#effects.changed({ type: 'refused', results: refused, givenUp });
  }

  /** Whether the server has the session of the accepted `connection`. */
  presence(connection: Connection): SessionPresence {
    // The stored session belongs to the previous Client Identifier.
    if (this.#attempts.isOtherIdentifier) return 'absent';
    const presence = sessionPresence(connection);
    // If servers do not share sessions, this one is older, and lacks later subscriptions.
    return presence === 'present' && this.#attempts.isOtherServer ? 'presumed' : presence;
  }
}

/** A subscription that brings retained messages only if it is new (3.8.3.1). */
function onlyNew(entry: SubscriptionEntry): SubscriptionEntry {
  return entry.retainHandling === 2 ? entry : { ...entry, retainHandling: 1 };
}

/**
 * Asks again for every subscription, before any newer request: the server has no session, or an older one. Calls
 * `restored` with what became of them.
 */
function restoreSubscriptions(
  session: Session,
  toEntry: (entry: SubscriptionEntry) => SubscriptionEntry,
  restored: (results: readonly FilterResult[], givenUp: ReadonlySet<string>) => void,
): void {
  const { requests, subscriptions } = session;
  const restoring = requests.queue.restoring();
  const entries = [...subscriptions.values()].filter(({ topicFilter }) => !restoring.has(topicFilter));
  if (entries.length === 0) return;
  const waiter: RequestWaiter = {
    answered: restored,
    // The client has ended.
    failed() {},
  };
  requests.addFirst(new Request('subscribe', entries.map(toEntry), undefined, waiter, 'restore'));
}
