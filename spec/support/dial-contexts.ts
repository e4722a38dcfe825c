import type { AttemptContext } from '../../lib/transport/options.ts';
import type { Leg, Passage } from '../../lib/transport/transport.ts';

/** What functions of the application are asked with at the first attempt. */
export function firstAttempt(signal: AbortSignal = new AbortController().signal): AttemptContext {
  return { attempt: 0, reason: undefined, signal };
}

/** A first attempt on its road, and the legs it has come to. */
export function passage(signal?: AbortSignal): Passage & { readonly legs: readonly Leg[] } {
  const legs: Leg[] = [];
  return { ...firstAttempt(signal), legs, protocolVersion: 4, reached: (leg) => void legs.push(leg) };
}
