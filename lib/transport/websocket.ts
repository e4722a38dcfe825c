/** MQTT over WebSocket (§6). */

import type { Socket } from 'node:net';
import { ConnectError } from '../errors.ts';
import type { Passage, Road, Transport } from './transport.ts';

/** A WebSocket over `stream`, which is TCP or TLS and is taken over: where this rejects, it is destroyed. */
export function dialWebSocket(
  _road: Road,
  _signal: AbortSignal,
  _passage: Passage,
  _stream: Socket,
): Promise<Transport> {
  return Promise.reject(new ConnectError('websocket', 'not there yet'));
}
