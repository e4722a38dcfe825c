/** Tunnels through an HTTP proxy: CONNECT (RFC 9110, 9.3.6). */

import { request, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { ConnectError, shown } from '../errors.ts';
import type { HttpHeaders } from './options.ts';
import type { Destination, ProxyServer } from './proxy-url.ts';

/**
 * Asks the proxy at the other end of `socket` for a tunnel. When this resolves, the socket is that tunnel, and paused.
 * Rejects with a ConnectError where the proxy refuses, with an Error where it does not answer as one does.
 */
export function requestTunnel(
  socket: Socket,
  { username, password }: ProxyServer,
  { host, port }: Destination,
  headers: HttpHeaders = {},
): Promise<void> {
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const isAnonymous = username === '' && password === '';
  const fields = {
    ...(!isAnonymous && { 'Proxy-Authorization': basic(username, password) }),
    ...headers,
  };
  const secrets = [username, password, ...Object.values(fields).flatMap((value) => value.split(' '))];
  return new Promise((resolve, reject) => {
    const closed = (): void => {
      const why = socket.errored?.message ?? 'the connection was closed before the answer';
      reject(new Error(`proxy: ${why}`));
    };
    // It may have been over before anybody looked.
    if (socket.closed) return closed();
    socket.once('close', closed);
    const asking = request({
      method: 'CONNECT',
      path: authority,
      headers: { Host: authority, ...fields },
      createConnection: () => socket,
    });
    asking.on('socket', () => socket.resume());
    asking.on('connect', ({ statusCode = 0, statusMessage = '' }, _, head: Buffer) => {
      socket.off('close', closed);
      socket.pause();
      if (statusCode >= 200 && statusCode < 300) {
        if (head.length > 0) socket.unshift(head);
        resolve();
        return;
      }
      const words = repeats(statusMessage, secrets) ? (STATUS_CODES[statusCode] ?? '') : shown(statusMessage);
      const why = `${statusCode} ${words}`.trim();
      reject(new ConnectError('dial', `the proxy refused ${authority}: ${why}`, { status: statusCode }));
    });
    asking.on('error', (error: NodeJS.ErrnoException) => {
      if (socket.errored !== null || !error.code?.startsWith('HPE_')) return closed();
      // The error itself has with it what came, which may be what was sent.
      reject(new Error(`proxy: expected an answer in HTTP, got something else (${error.code})`));
    });
    asking.end();
  });
}

/** Whether the proxy's own words have something in them that it was sent. What is shorter is in many words by chance. */
function repeats(words: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => secret.length > 2 && words.includes(secret));
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
