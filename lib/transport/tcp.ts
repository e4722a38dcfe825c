/** MQTT over TCP (§4.2), and over Unix sockets. */

import { Socket, type SocketConnectOpts } from 'node:net';
import { arrival, Landing, StreamTransport } from './stream.ts';
import type { Road, Transport } from './transport.ts';

/** ms: see `SocketOptions.tcpKeepAlive`. */
const KEEP_ALIVE = 60_000;

/**
 * Opens a TCP connection or a Unix socket. An address that is being looked up when `signal` aborts is looked up to the
 * end, as the platform cannot call that off; nobody hears of it any more.
 */
export async function dialTcp(road: Road, signal: AbortSignal): Promise<Transport> {
  const landing = new Landing();
  const socket = await openSocket(road, signal, landing);
  return new StreamTransport(socket, { landing });
}

/** The socket of a road without a proxy, connected. It is paused: nothing is read before somebody asks for it. */
export async function openSocket(road: Road, signal: AbortSignal, landing?: Landing): Promise<Socket> {
  signal.throwIfAborted();
  const socket = new Socket(landing?.options);
  landing?.of(socket);
  socket.pause();
  tune(socket, road);
  const arrived = arrival(socket, 'connect', signal);
  try {
    socket.connect(addressOf(road));
  } catch (error) {
    // An address that is none is refused at once, and leaves the socket as it was.
    socket.destroy(error as Error);
  }
  await arrived;
  return socket;
}

/** Where a road leads to and comes from, as sockets want it. */
export function addressOf(road: Road): SocketConnectOpts {
  const { protocol, host, port, path = '', localAddress, localPort, family } = road;
  if (protocol === 'mqtt+unix') return { path };
  return {
    host,
    port,
    ...(localAddress !== undefined && { localAddress }),
    ...(localPort !== undefined && { localPort }),
    ...(family !== undefined && { family }),
  };
}

/** What holds for every socket of a road. To be said before the connection is there. */
export function tune(socket: Socket, { noDelay = true, tcpKeepAlive = KEEP_ALIVE }: Road): void {
  socket.setNoDelay(noDelay);
  if (tcpKeepAlive > 0) socket.setKeepAlive(true, tcpKeepAlive);
  // Without a listener for it, an error would be an uncaught exception; whoever has the socket looks for its reason.
  socket.on('error', () => {});
}
