import { reasonCodeName, RETURN_CODES } from '../codec/reason-codes.ts';
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

/** CONNACK Reason Codes (5.0) that refuse the same CONNECT again. */
const FINAL_IN_CONNACK = new Set([0x81, 0x82, 0x90, 0x95, 0x99, 0x9a, 0x9b]);
/** Refusals that call for a longer delay: Server busy, Quota exceeded, Connection rate exceeded. */
const BUSY = new Set([0x89, 0x97, 0x9f]);

/**
 * What follows from a code. `final`: no further attempt; `patient`: the next attempt after a longer delay; `normal`: after
 * the usual delay.
 */
export type Verdict = 'final' | 'patient' | 'normal';

/** Codes that are final in CONNACK and DISCONNECT: version, identifier, banned, authentication method, taken over. */
const FINAL_ANYWHERE = new Set([0x84, 0x85, 0x8a, 0x8c, 0x8e]);

/** What follows from a refusing CONNACK. `accepted`: the credentials were accepted before. */
export function connackVerdict(reasonCode: number, version: ProtocolVersion, accepted: boolean): Verdict {
  const credentials =
    version < 5 ? reasonCode === 4 || reasonCode === 5 : reasonCode === 0x86 || reasonCode === 0x87;
  // A server may refuse valid credentials while its user database restarts.
  if (credentials) return accepted ? 'patient' : 'final';
  if (version < 5) return reasonCode === 1 || reasonCode === 2 ? 'final' : 'normal';
  if (BUSY.has(reasonCode)) return 'patient';
  return FINAL_ANYWHERE.has(reasonCode) || FINAL_IN_CONNACK.has(reasonCode) ? 'final' : 'normal';
}

/**
 * What follows from a DISCONNECT of the server. Session taken over is final [MQTT-3.1.4-3]: two clients with the same
 * Client Identifier would otherwise take over from each other for ever.
 */
export function disconnectVerdict(reasonCode: number): Verdict {
  if (FINAL_ANYWHERE.has(reasonCode)) return 'final';
  return BUSY.has(reasonCode) || reasonCode === 0x87 ? 'patient' : 'normal';
}

/** Whether a packet of the client may have caused the loss of a connection. */
export type Suspicion = 'none' | 'what was sent';

/** DISCONNECT codes that a packet may have caused. The others are about the server, the session or the client. */
const ABOUT_A_PACKET: readonly number[] = [
  0x80, 0x81, 0x82, 0x83, 0x87, 0x8f, 0x90, 0x94, 0x95, 0x99, 0x9a, 0x9b, 0x9e, 0xa1, 0xa2,
];

export function suspicionOfCode(reasonCode: number): Suspicion {
  return ABOUT_A_PACKET.includes(reasonCode) ? 'what was sent' : 'none';
}

/** Errors of the network and of TLS, which a packet does not cause. */
const NETWORK_ERROR =
  /^(?:ERR_SSL_|ERR_TLS_|EPROTO$|ETIMEDOUT$|EHOSTUNREACH$|EHOSTDOWN$|ENETUNREACH$|ENETDOWN$|ENETRESET$)/;

/** The same for an unexpected close. `cause`: the error of the transport. */
export function suspicionOfLoss(cause: unknown): Suspicion {
  // The transport found a violation, or failed before the connection was open.
  if (cause instanceof ProtocolError || cause instanceof ConnectError) return 'none';
  return NETWORK_ERROR.test(codeOf(cause)) ? 'none' : 'what was sent';
}

/** The error of `connect()` for a refusing CONNACK. */
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

/** The error for a DISCONNECT of the server, or for another packet with which it ends the connection (`options.cause`). */
export function disconnectError(
  { reasonCode, properties }: DisconnectPacket,
  options: ErrorOptions = {},
): ConnectionLostError {
  const why = reasonSuffix(properties.reasonString);
  return new ConnectionLostError(`the server ended the connection: ${connackCodeName(reasonCode, 5)}${why}`, {
    reasonCode,
    properties: { ...properties },
    ...options,
  });
}

/** The error of `connect()` if none of several servers has accepted. */
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

/** What an attempt waits for in each phase. */
const AWAITED_IN_PHASE: Readonly<Record<ConnectPhase, string>> = {
  credentials: 'the URL or credentials from the application',
  authentication: 'a function of the option authentication',
  dial: 'the network to connect',
  tls: 'the TLS handshake',
  websocket: 'the WebSocket handshake',
  connack: 'CONNACK',
  timeout: '',
};

/** The error of `connect()` after `connectTimeout`. */
export function timeoutError(during: ConnectPhase, connectTimeout: number): ConnectError {
  const what = `no connection within ${connectTimeout} ms: waited for ${AWAITED_IN_PHASE[during]} (${during})`;
  return new ConnectError('timeout', what, { during });
}

/** The error for an unexpected close in `state`. */
export function lostError(cause: unknown, state: ClientState): MqttError {
  // The transport knows the cause better.
  if (cause instanceof ProtocolError) return protocolError(cause, state);
  if (cause instanceof ConnectError && state === 'connecting') return cause;
  const options = cause === undefined ? {} : { cause };
  const why = cause === undefined ? '' : reasonSuffix(messageOf(cause));
  return state === 'connecting'
    ? new ConnectError('connack', `the server closed the connection before CONNACK${why}`, options)
    : new ConnectionLostError(`the connection was lost${why}`, options);
}

/** The error for a protocol violation of the server in `state`. */
export function protocolError(error: ProtocolError, state: ClientState): MqttError {
  return state === 'connecting' ? new ConnectError('connack', error.message, { cause: error }) : error;
}

/** The reason that the server or the network gave, for people to read (U-3.2.2-f). */
function reasonSuffix(reason: string | undefined): string {
  return reason === undefined ? '' : `: ${shown(reason)}`;
}

/** The name of a CONNACK code in the specification of `version`. */
export function connackCodeName(reasonCode: number, version: ProtocolVersion): string {
  if (version < 5) return `${RETURN_CODES[reasonCode] ?? 'reserved'} (return code ${reasonCode})`;
  return `${reasonCodeName(reasonCode)} (0x${reasonCode.toString(16).padStart(2, '0')})`;
}

/** The codes that a client may send in DISCONNECT [MQTT-3.14.2-1]. */
export const CLIENT_DISCONNECT_CODES: readonly number[] = [
  0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
];

/** `reasonCode`, or Protocol Error if a client may not send it. */
export function sendableCode(reasonCode: number): number {
  return CLIENT_DISCONNECT_CODES.includes(reasonCode) ? reasonCode : 0x82;
}
