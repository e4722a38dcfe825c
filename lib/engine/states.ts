/**
 * The life of a client, as a table: state × input → state. An input that a state does not list changes nothing there.
 * `docs/state-machine.md` is printed from it.
 *
 * `connecting`: CONNECT sent, CONNACK awaited; `waiting`: the delay before the next attempt; `gaveUp`: a first attempt
 * failed and is not retried, or whoever asked for it has left; `elsewhere`: the attempt goes on with another server;
 * `wiped`: the old session is gone, the one to keep comes next; `ended`: a refusal or loss that is final.
 */
// prettier-ignore
export const TRANSITIONS = {
  offline: { connect: 'dialing', disconnect: 'closed' },
  dialing: { opened: 'connecting', nextServer: 'dialing', lost: 'waiting', gaveUp: 'offline', ended: 'closed', disconnect: 'closed' },
  connecting: { accepted: 'connected', wiped: 'dialing', nextServer: 'dialing', lost: 'waiting', gaveUp: 'offline', ended: 'closed', disconnect: 'closed' },
  connected: { lost: 'waiting', ended: 'closed', reconnect: 'dialing', disconnect: 'disconnecting' },
  disconnecting: { lost: 'closed' },
  waiting: { delayElapsed: 'dialing', reconnect: 'dialing', gaveUp: 'offline', ended: 'closed', disconnect: 'closed' },
  closed: { connect: 'dialing' },
} as const;

/** Where a client is in its life. */
export type ClientState = keyof typeof TRANSITIONS;

/** Everything that can move it on. */
export const INPUTS = [
  'connect',
  'opened',
  'accepted',
  'wiped',
  'nextServer',
  'lost',
  'gaveUp',
  'ended',
  'reconnect',
  'disconnect',
  'delayElapsed',
] as const;
export type Input = (typeof INPUTS)[number];

/** The state that `input` leads to, or undefined where it changes nothing. */
export function nextState(state: ClientState, input: Input): ClientState | undefined {
  const row: Partial<Record<Input, ClientState>> = TRANSITIONS[state];
  return row[input];
}
