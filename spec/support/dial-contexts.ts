import type { AttemptContext } from '../../lib/transport/options.ts';
import type { DialPhase, DialContext } from '../../lib/transport/transport.ts';

/** What functions of the application are asked with at the first attempt. */
export function firstAttempt(signal: AbortSignal = new AbortController().signal): AttemptContext {
  return { attempt: 0, reason: undefined, signal };
}

/** A first attempt on its dialOptions, and the legs it has come to. */
export function dialContext(signal?: AbortSignal): DialContext & { readonly legs: readonly DialPhase[] } {
  const legs: DialPhase[] = [];
  return { ...firstAttempt(signal), legs, protocolVersion: 4, onPhase: (phase) => void legs.push(phase) };
}
