import type { Publication, PublishOutcome } from '../../../lib/client/publish/publish-many.ts';
import type { ScriptedBroker } from '../../support/scripted-broker.ts';

export interface Numbered extends Publication {
  readonly id: number;
}

/** A source that says how often it was asked, and whether it was left. */
export function source(
  count: number,
  qos: 0 | 1 | 2 = 1,
): { pulled: number; left: boolean; items: Iterable<Numbered> } {
  const told = {
    pulled: 0,
    left: false,
    items: {
      [Symbol.iterator]: (): Iterator<Numbered> => ({
        next() {
          if (told.pulled === count) return { value: undefined, done: true };
          const id = ++told.pulled;
          return { value: { topic: `t/${id}`, payload: id, qos, id }, done: false };
        },
        return() {
          told.left = true;
          return { value: undefined, done: true };
        },
      }),
    },
  };
  return told;
}

/** Iterates to the end, in words: the id, with what went wrong. */
export function gather(outcomes: AsyncIterable<PublishOutcome<Numbered>>): {
  words: string[];
  done: Promise<void>;
} {
  const words: string[] = [];
  const done = (async () => {
    for await (const { publication, status, error } of outcomes)
      words.push(
        status === 'published' ? `${publication.id}` : `${publication.id}: ${(error as Error).name}`,
      );
  })();
  done.catch(() => {});
  return { words, done };
}

export const puback = (packetId: number) => ({ type: 'puback', packetId }) as const;

export const topics = (broker: ScriptedBroker): string[] =>
  broker.unread.flatMap((packet) => (packet.type === 'publish' ? [packet.topic] : []));
