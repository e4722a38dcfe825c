/** Tunnels through a proxy: HTTP CONNECT and SOCKS5. */

import type { Socket } from 'node:net';
import type { Road } from './transport.ts';

/** A socket to the server of a road through its proxy. Undefined where the environment names none for this server. */
export function openTunnel(_road: Road, _signal: AbortSignal): Promise<Socket | undefined> {
  return Promise.reject(new Error('not there yet'));
}
