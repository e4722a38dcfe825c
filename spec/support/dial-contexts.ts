import type { AttemptContext } from '../../lib/transport/options.ts';
import type { DialPhase, DialContext } from '../../lib/transport/transport.ts';

/** The context that functions of the application get at the first attempt. */
export function firstAttempt(signal: AbortSignal = new AbortController().signal): AttemptContext {
  return { attempt: 0, reason: undefined, signal };
}

/** The context of a first attempt. Records its phases. */
export function dialContext(signal?: AbortSignal): DialContext & { readonly phases: readonly DialPhase[] } {
  const phases: DialPhase[] = [];
  return { ...firstAttempt(signal), phases, protocolVersion: 4, onPhase: (phase) => void phases.push(phase) };
}
