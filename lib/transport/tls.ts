/** MQTT over TLS. */

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ConnectError } from '../errors.ts';
import type { Landing } from './stream.ts';
import type { Passage, Road, Transport } from './transport.ts';

/** `mqtts:`, over a tunnel or over TCP. */
export async function dialTls(
  road: Road,
  signal: AbortSignal,
  passage: Passage,
  tunnel: Socket | undefined,
): Promise<Transport> {
  await openTls(road, signal, passage, { tunnel });
  throw new ConnectError('tls', 'not there yet');
}

/** A TLS socket whose server is verified: `over` says whether it goes through a tunnel, or reads into a landing. */
export function openTls(
  _road: Road,
  _signal: AbortSignal,
  _passage: Passage,
  _over: { tunnel?: Socket | undefined; landing?: Landing },
): Promise<TLSSocket> {
  return Promise.reject(new ConnectError('tls', 'not there yet'));
}
