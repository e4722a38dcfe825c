/** Tunnels through an HTTP proxy: CONNECT (RFC 9110, 9.3.6). */

import { request, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { ConnectError, shown } from '../errors.ts';
import type { HttpHeaders } from './options.ts';
import type { Destination, ProxyServer } from './proxy-url.ts';
import { authorityOf } from './url.ts';

/**
 * Requests a tunnel from the proxy at the other end of `socket`. Afterwards the socket is the tunnel, and paused.
 * @throws ConnectError if the proxy refuses
 * @throws Error if it closes the connection or does not answer in HTTP
 */
export function requestTunnel(
  socket: Socket,
  { username, password }: ProxyServer,
  { host, port }: Destination,
  headers: HttpHeaders = {},
): Promise<void> {
  const authority = authorityOf(host, port);
  const isAnonymous = username === '' && password === '';
  const basic = Buffer.from(`${username}:${password}`).toString('base64');
  const fields = {
    ...(!isAnonymous && { 'Proxy-Authorization': `Basic ${basic}` }),
    ...headers,
  };
  const secrets = [username, password, ...Object.values(fields).flatMap((value) => value.split(' '))];
  return new Promise((resolve, reject) => {
    const onClose = (): void => {
      const why = socket.errored?.message ?? 'the connection was closed before the response';
      reject(new Error(`proxy: ${why}`));
    };
    // A socket that has closed already emits no event.
    if (socket.closed) return onClose();
    socket.once('close', onClose);
    const connecting = request({
      method: 'CONNECT',
      path: authority,
      headers: { Host: authority, ...fields },
      createConnection: () => socket,
    });
    connecting.on('socket', () => socket.resume());
    connecting.on('connect', ({ statusCode = 0, statusMessage = '' }, _, head: Buffer) => {
      socket.off('close', onClose);
      socket.pause();
      if (statusCode >= 200 && statusCode < 300) {
        if (head.length > 0) socket.unshift(head);
        resolve();
        return;
      }
      const text = repeats(statusMessage, secrets) ? (STATUS_CODES[statusCode] ?? '') : shown(statusMessage);
      const why = `${statusCode} ${text}`.trim();
      reject(
        new ConnectError('dial', `the proxy refused a tunnel to ${authority}: ${why}`, {
          status: statusCode,
        }),
      );
    });
    connecting.on('error', (error: NodeJS.ErrnoException) => {
      if (socket.errored !== null || !error.code?.startsWith('HPE_')) return onClose();
      // Without a cause: the error contains the response, which may repeat what was sent.
      reject(new Error(`proxy: expected an HTTP response, got something else (${error.code})`));
    });
    connecting.end();
  });
}

/** Whether `text` contains one of `secrets`. Shorter ones occur in many texts by chance. */
function repeats(text: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => secret.length > 2 && text.includes(secret));
}
