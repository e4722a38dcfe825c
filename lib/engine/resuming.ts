import type { FilterResult } from '../errors.ts';
import { Request } from '../session/requests.ts';
import type { Session } from '../session/session.ts';

/**
 * The server has no session: asks again for every subscription there was, before anything newer. `refused` is told
 * which of them the server does not grant any more.
 */
export function restoreSubscriptions(
  session: Session,
  refused: (results: readonly FilterResult[]) => void,
): void {
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
