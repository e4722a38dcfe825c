/** Tunnels through a SOCKS proxy: CONNECT of SOCKS5 (RFC 1928), with a user name and password (RFC 1929) or without. */

import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers';
import { messageOf } from '../errors.ts';
import type * as Socks from 'socks';
import { loadPackage } from './packages.ts';
import type { Destination, ProxyServer } from './proxy-url.ts';

/** ms that timers can have at most. */
const LONGEST = 0x7fff_ffff;

const CLOSED = 'the connection was closed';

/**
 * Asks the proxy at the other end of `socket` for a tunnel. When this resolves, the socket is that tunnel, and paused.
 * Names are looked up by the proxy. Rejects with an Error that says why there is no tunnel.
 */
export async function negotiateTunnel(
  socket: Socket,
  { host, port, username, password }: ProxyServer,
  destination: Destination,
): Promise<void> {
  const { SocksClient } = (await loadPackage('socks', 'proxy: SOCKS')) as typeof Socks;
  // The package has a timer of its own and leaves it behind, with all it holds, when it is done. How long an attempt may
  // take is known nextServer: this one shall do nothing, and be gone at once. Where what it does has another name, it
  // cannot be told to do nothing: then it shall come as late as can be.
  const ending = 'onEstablishedTimeout';
  const isKnown = ending in SocksClient.prototype;
  // It may have been over before anybody looked.
  if (socket.destroyed) throw new Error(`proxy: ${CLOSED}`);
  await new Promise<void>((resolve, reject) => {
    const client = new SocksClient({
      command: 'connect',
      proxy: { host, port, type: 5, userId: username, password },
      destination,
      timeout: isKnown ? 1 : LONGEST,
    });
    if (isKnown) Object.assign(client, { [ending]() {} });
    client.once('error', reject);
    client.connect(socket);
    const early: Buffer[] = [];
    const keep = (bytes: Buffer): void => void early.unshift(bytes);
    client.once('established', () => {
      // What came behind the answer is emitted again, and the socket resumed, but not before the next turn.
      socket.on('data', keep);
      setImmediate(() => {
        socket.off('data', keep);
        socket.pause();
        if (socket.destroyed) return reject(new Error(CLOSED));
        if (!socket.readableEnded) for (const bytes of early) socket.unshift(bytes);
        resolve();
      });
    });
    socket.resume();
  }).catch((error: unknown) => {
    // The error itself has the options with it, and the password in them.
    throw new Error(`proxy: ${messageOf(error)}`);
  });
}
