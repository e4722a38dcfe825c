import { reasonCodeName } from '../codec/reason-codes.ts';
import type { ConnackPacket, DisconnectPacket, ProtocolVersion } from '../codec/packets.ts';
import {
  codeOf,
  ConnectError,
  ConnectionLostError,
  type ConnectPhase,
  messageOf,
  type MqttError,
  ProtocolError,
  shown,
} from '../errors.ts';
import type { ClientState } from './states.ts';

/** CONNACK Reason Codes (5.0) after which the same CONNECT would only be refused again. */
const FINAL_IN_CONNACK = new Set([0x81, 0x82, 0x90, 0x95, 0x99, 0x9a, 0x9b]);
/** Refusals that ask for patience: Server busy, Quota exceeded, Connection rate exceeded. */
const BUSY = new Set([0x89, 0x97, 0x9f]);

const RETURN_CODES = [
  'Connection accepted',
  'Unacceptable protocol version',
  'Identifier rejected',
  'Server unavailable',
  'Bad user name or password',
  'Not authorized',
];

/**
 * What follows from a code: `final`, no further attempt; `patient`, stay away longer than usual; `normal`, the next
 * attempt after the usual delay.
 */
export type Verdict = 'final' | 'patient' | 'normal';

/** Codes that are final wherever they come: version, identifier, banned, authentication method, taken over. */
const FINAL_ANYWHERE = new Set([0x84, 0x85, 0x8a, 0x8c, 0x8e]);

/** What follows from a CONNACK that refused. `accepted`: these credentials were accepted before. */
export function connackVerdict(reasonCode: number, version: ProtocolVersion, accepted: boolean): Verdict {
  const credentials =
    version < 5 ? reasonCode === 4 || reasonCode === 5 : reasonCode === 0x86 || reasonCode === 0x87;
  // Credentials that were accepted before may be refused while the user database of the server restarts.
  if (credentials) return accepted ? 'patient' : 'final';
  if (version < 5) return reasonCode === 1 || reasonCode === 2 ? 'final' : 'normal';
  if (BUSY.has(reasonCode)) return 'patient';
  return FINAL_ANYWHERE.has(reasonCode) || FINAL_IN_CONNACK.has(reasonCode) ? 'final' : 'normal';
}

/**
 * What follows from a DISCONNECT of the server. Session taken over is final [MQTT-3.1.4-3]: two clients with one
 * Client Identifier would evict each other for ever.
 */
export function disconnectVerdict(reasonCode: number): Verdict {
  if (FINAL_ANYWHERE.has(reasonCode)) return 'final';
  return BUSY.has(reasonCode) || reasonCode === 0x87 ? 'patient' : 'normal';
}

/** Whether a connection may have been lost because of what was sent on it. */
export type Suspicion = 'none' | 'what was sent';

/** Codes of DISCONNECT that can be about a packet of ours; the others are about the server, the session or the client. */
const ABOUT_A_PACKET: readonly number[] = [
  0x80, 0x81, 0x82, 0x83, 0x87, 0x8f, 0x90, 0x94, 0x95, 0x99, 0x9a, 0x9b, 0x9e, 0xa1, 0xa2,
];

export function suspicionOfCode(reasonCode: number): Suspicion {
  return ABOUT_A_PACKET.includes(reasonCode) ? 'what was sent' : 'none';
}

/** Errors of the network and of TLS, which no server causes by the way it takes a packet. */
const NETWORK_ERROR =
  /^(?:ERR_SSL_|ERR_TLS_|EPROTO$|ETIMEDOUT$|EHOSTUNREACH$|EHOSTDOWN$|ENETUNREACH$|ENETDOWN$|ENETRESET$)/;

/** The same for a close that nobody asked for, with what the transport says of it. */
export function suspicionOfLoss(cause: unknown): Suspicion {
  // What the transport does not allow, or what failed before it was up.
  if (cause instanceof ProtocolError || cause instanceof ConnectError) return 'none';
  return NETWORK_ERROR.test(codeOf(cause)) ? 'none' : 'what was sent';
}

/** What a CONNACK that refused is for the caller of `connect()`. */
export function connackError(
  { reasonCode, properties }: ConnackPacket,
  version: ProtocolVersion,
): ConnectError {
  const why = reasonSuffix(properties.reasonString);
  return new ConnectError(
    'connack',
    `the server refused the connection: ${connackCodeName(reasonCode, version)}${why}`,
    { reasonCode, properties: { ...properties } },
  );
}

/** What a DISCONNECT of the server is for whoever used the connection. */
export function disconnectError({ reasonCode, properties }: DisconnectPacket): ConnectionLostError {
  const why = reasonSuffix(properties.reasonString);
  return new ConnectionLostError(`the server ended the connection: ${connackCodeName(reasonCode, 5)}${why}`, {
    reasonCode,
    properties: { ...properties },
  });
}

/** What an attempt is for the caller of `connect()` that none of several servers has accepted. */
export function noServerError(errors: readonly MqttError[]): MqttError {
  const last = errors.at(-1);
  const what = `none of ${errors.length} servers: ${errors.map(messageOf).join('; ')}`;
  const { phase, reasonCode, status, during, properties } =
    last instanceof ConnectError ? last : ({ phase: 'connack', properties: {} } as const);
  return new ConnectError(phase, what, {
    reasonCode,
    status,
    during,
    properties,
    cause: new AggregateError(errors, what),
  });
}

/** The servers that a CONNACK or DISCONNECT names, and for how long they take its place (4.11). */
export function serverReferenceIn({
  reasonCode,
  properties,
}: ConnackPacket | DisconnectPacket):
  | { readonly serverReference: string; readonly lasting: 'for now' | 'for good' }
  | undefined {
  const { serverReference } = properties;
  if (serverReference === undefined || (reasonCode !== 0x9c && reasonCode !== 0x9d)) return undefined;
  return { serverReference, lasting: reasonCode === 0x9d ? 'for good' : 'for now' };
}

/** What an attempt waits for, in each of its phases. */
const AWAITED_IN_PHASE: Readonly<Record<ConnectPhase, string>> = {
  credentials: 'the application to say what to connect with',
  dial: 'the network to connect',
  tls: 'the TLS handshake',
  websocket: 'the WebSocket handshake',
  connack: 'CONNACK',
  timeout: '',
};

/** What an attempt that has taken too long is for the caller of `connect()`. */
export function timeoutError(during: ConnectPhase, connectTimeout: number): ConnectError {
  const what = `no connection within ${connectTimeout} ms: waited for ${AWAITED_IN_PHASE[during]} (${during})`;
  return new ConnectError('timeout', what, { during });
}

/** What the close of a connection that nobody asked for is, in the state it came in. */
export function lostError(cause: unknown, state: ClientState): MqttError {
  // The transport knows better: what it does not allow, or what the server did not like about the way.
  if (cause instanceof ProtocolError) return protocolError(cause, state);
  if (cause instanceof ConnectError && state === 'connecting') return cause;
  const options = cause === undefined ? {} : { cause };
  const why = cause === undefined ? '' : reasonSuffix(messageOf(cause));
  return state === 'connecting'
    ? new ConnectError('connack', `the server closed the connection before CONNACK${why}`, options)
    : new ConnectionLostError(`the connection was lost${why}`, options);
}

/** What a breach of the protocol by the server is, in the state it came in. */
export function protocolError(error: ProtocolError, state: ClientState): MqttError {
  return state === 'connecting' ? new ConnectError('connack', error.message, { cause: error }) : error;
}

/** What the server or the network gave as its reason: for people to read (U-3.2.2-f). */
function reasonSuffix(words: string | undefined): string {
  return words === undefined ? '' : `: ${shown(words)}`;
}

/** What a CONNACK code means, in the words of its version's specification. */
export function connackCodeName(reasonCode: number, version: ProtocolVersion): string {
  if (version < 5) return `${RETURN_CODES[reasonCode] ?? 'reserved'} (return code ${reasonCode})`;
  return `${reasonCodeName(reasonCode)} (0x${reasonCode.toString(16).padStart(2, '0')})`;
}

/** The codes a client may send in DISCONNECT [MQTT-3.14.2-1]. */
export const CLIENT_DISCONNECT_CODES: readonly number[] = [
  0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
];

/** The code of an error that was found, or Protocol Error where a client may not send it. */
export function sendableCode(reasonCode: number): number {
  return CLIENT_DISCONNECT_CODES.includes(reasonCode) ? reasonCode : 0x82;
}
