/** Tunnels through a SOCKS5 proxy: CONNECT (RFC 1928), with or without a user name and password (RFC 1929). */

import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers';
import type * as Socks from 'socks';
import { messageOf } from '../errors.ts';
import { loadPackage } from '../packages.ts';
import type { Destination, ProxyServer } from './proxy-url.ts';

/** Maximum ms of a timer. */
const MAX_DELAY = 0x7fff_ffff;

const CLOSED = 'the connection was closed';

/**
 * Requests a tunnel from the proxy at the other end of `socket`. Afterwards the socket is the tunnel, and paused. The
 * proxy looks up names.
 * @throws Error if there is no tunnel
 */
export async function negotiateTunnel(
  socket: Socket,
  { host, port, username, password }: ProxyServer,
  destination: Destination,
): Promise<void> {
  const { SocksClient } = (await loadPackage('socks', 'proxy: SOCKS')) as typeof Socks;
  // The package starts a timer and does not clear it, which keeps everything it refers to in memory. The attempt has its
  // own time-out, so this timer gets a callback that does nothing, and fires at once. In a version in which the callback
  // has another name, it cannot be replaced; then the timer gets the longest delay.
  const callback = 'onEstablishedTimeout';
  const isKnown = callback in SocksClient.prototype;
  // A socket that has closed already emits no event.
  if (socket.destroyed) throw new Error(`proxy: ${CLOSED}`);
  await new Promise<void>((resolve, reject) => {
    const client = new SocksClient({
      command: 'connect',
      proxy: { host, port, type: 5, userId: username, password },
      destination,
      timeout: isKnown ? 1 : MAX_DELAY,
    });
    if (isKnown) Object.assign(client, { [callback]() {} });
    client.once('error', reject);
    client.connect(socket);
    const early: Buffer[] = [];
    const collect = (bytes: Buffer): void => void early.unshift(bytes);
    client.once('established', () => {
      // In the next turn, the package resumes the socket and emits the bytes that followed the response.
      socket.on('data', collect);
      setImmediate(() => {
        socket.off('data', collect);
        socket.pause();
        if (socket.destroyed) return reject(new Error(CLOSED));
        if (!socket.readableEnded) for (const bytes of early) socket.unshift(bytes);
        resolve();
      });
    });
    socket.resume();
  }).catch((error: unknown) => {
    // Without a cause: the error contains the options, and so the password.
    throw new Error(`proxy: ${messageOf(error)}`);
  });
}
