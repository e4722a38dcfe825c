import type { Connection } from '../connection/connection.ts';
import type { FilterResult } from '../errors.ts';
import { Request } from '../session/requests.ts';
import type { Session } from '../session/session.ts';
import { sessionPresence } from './accepting.ts';
import type { Attempts } from './attempts.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions } from './options.ts';
import type { Publishing } from './publishing.ts';
import type { Requesting } from './requesting.ts';

/** What a connection that was just accepted goes on with: the session of before, or a new one. */
export class Resuming {
  readonly #session: Session;
  readonly #publishing: Publishing;
  readonly #requesting: Requesting;
  readonly #attempts: Attempts;
  readonly #options: EngineOptions;
  readonly #effects: Effects;

  constructor(
    session: Session,
    publishing: Publishing,
    requesting: Requesting,
    attempts: Attempts,
    options: EngineOptions,
    effects: Effects,
  ) {
    this.#session = session;
    this.#publishing = publishing;
    this.#requesting = requesting;
    this.#attempts = attempts;
    this.#options = options;
    this.#effects = effects;
  }

  resume(connection: Connection, now: number): void {
    // What is kept here belongs to the Client Identifier of before.
    const presence = this.#attempts.renamed ? 'absent' : sessionPresence(connection);
    if (presence !== 'present' && this.#options.resubscribe)
      restoreSubscriptions(this.#session, (results) => this.#effects.changed({ type: 'refused', results }));
    // Restored subscriptions go before all that is published.
    this.#requesting.flush(connection, now);
    if (presence !== 'absent') this.#publishing.resume(connection, this.#attempts.inherited, now);
    else {
      const unsettled = this.#publishing.startOver();
      if (!this.#attempts.first) this.#effects.changed({ type: 'sessionLost', unsettled });
    }
    this.#publishing.pump(connection, now);
  }
}

/**
 * The server has no session: asks again for every subscription there was, before anything newer. `refused` is told
 * which of them the server does not grant any more.
 */
function restoreSubscriptions(session: Session, refused: (results: readonly FilterResult[]) => void): void {
  const awaiting = session.requests.awaiting();
  const entries = [...session.subscriptions.values()].filter((entry) => !awaiting.has(entry.topicFilter));
  session.subscriptions.clear();
  if (entries.length === 0) return;
  session.requests.addFirst(
    new Request('subscribe', entries, undefined, {
      answered(reasonCodes) {
        const results = entries.map(({ topicFilter }, i) => ({
          topicFilter,
          reasonCode: reasonCodes[i] ?? 0x80,
        }));
        const lost = results.filter(({ reasonCode }) => reasonCode >= 0x80);
        if (lost.length > 0) refused(lost);
      },
      // Unanswered: the connection is about to be judged by others, and the next one asks again.
      failed() {
        for (const entry of entries) session.subscriptions.set(entry);
      },
    }),
  );
}
