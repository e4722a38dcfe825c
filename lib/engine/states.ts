/**
 * The life cycle of a client, as a table: state × input → state. An input that a state does not list changes nothing.
 * `docs/state-machine.md` is generated from it.
 *
 * `connecting`: CONNECT was sent, CONNACK is awaited; `waiting`: the delay before the next attempt; `gaveUp`: a first
 * attempt failed and is not retried, or its caller gave up; `nextServer`: the attempt goes on with another server;
 * `wiped`: CONNECT has cleaned the old session, the next one begins the session to keep; `ended`: a refusal or loss that
 * is final.
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

/** The state of a client: see docs/state-machine.md. */
export type ClientState = keyof typeof TRANSITIONS;

/** Everything that can change the state. */
export type Input = { [State in ClientState]: keyof (typeof TRANSITIONS)[State] }[ClientState];

/** The state that `input` leads to, or undefined if it changes nothing. */
export function nextState(state: ClientState, input: Input): ClientState | undefined {
  const row: Partial<Record<Input, ClientState>> = TRANSITIONS[state];
  return row[input];
}
