/**
 * The signals of callers. One signal may stand for many calls at once, and Node warns of a leak when more than ten
 * listen to it: so the client listens to each signal once, and tells those who wait.
 */

/** Those who wait for one signal, and the one listener that tells them. */
interface Audience {
  readonly members: Set<() => void>;
  readonly tell: () => void;
}

const audiences = new WeakMap<AbortSignal, Audience>();

/**
 * Calls `react` when `signal` is aborted, or in the next microtask where it is aborted already: never before this has
 * returned. Returns what ends the listening; once nobody listens, nothing is left at the signal.
 */
export function onAbort(signal: AbortSignal, react: () => void): () => void {
  if (signal.aborted) return soon(react);
  const { members, tell } = audienceOf(signal);
  members.add(react);
  return () => {
    if (!members.delete(react) || members.size > 0) return;
    signal.removeEventListener('abort', tell);
    audiences.delete(signal);
  };
}

function audienceOf(signal: AbortSignal): Audience {
  const known = audiences.get(signal);
  if (known !== undefined) return known;
  const members = new Set<() => void>();
  const tell = (): void => {
    audiences.delete(signal);
    for (const react of members) {
      members.delete(react);
      react();
    }
  };
  const audience = { members, tell };
  audiences.set(signal, audience);
  signal.addEventListener('abort', tell, { once: true });
  return audience;
}

/** A member of an audience of one, so that it can still leave. */
function soon(react: () => void): () => void {
  const members = new Set([react]);
  queueMicrotask(() => {
    if (members.delete(react)) react();
  });
  return () => void members.delete(react);
}
