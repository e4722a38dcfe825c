/** TCP (4.2) and Unix sockets. */

import { isIP, Socket, type SocketConnectOpts } from 'node:net';
import { connectFirst } from './happy-eyeballs.ts';
import { withReadTarget } from './read-target.ts';
import { StreamTransport } from './stream.ts';
import type { DialOptions, Transport } from './transport.ts';

/** The system takes as much of a write as it has room for: a larger write costs fewer turns of the event loop. */
const LARGEST_WRITE = 16_777_216;

/** Default of `SocketOptions.tcpKeepAlive` in ms. */
const TCP_KEEP_ALIVE = 60_000;

/** Maximum bytes of a Unix socket path. The system cuts a longer one and would connect to another file. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/**
 * Opens a TCP connection or a Unix socket. A name look-up cannot be cancelled: if `signal` aborts, its result is
 * ignored.
 */
export async function dialTcp(dialOptions: DialOptions, signal: AbortSignal): Promise<Transport> {
  const { socket, readTarget } = await connectFirst(connectOptionsOf(dialOptions), signal, (address) => {
    const started = withReadTarget((options) => new Socket(options));
    connect(started.socket, address, dialOptions);
    return started;
  });
  return new StreamTransport(socket, { readTarget, largestWrite: LARGEST_WRITE });
}

/** Opens a socket without a proxy. It is paused: nothing is read before someone resumes it. */
export async function openSocket(dialOptions: DialOptions, signal: AbortSignal): Promise<Socket> {
  const { socket } = await connectFirst(connectOptionsOf(dialOptions), signal, (address) => {
    const started = new Socket();
    connect(started, address, dialOptions);
    return { socket: started };
  });
  return socket;
}

function connect(socket: Socket, address: SocketConnectOpts, dialOptions: DialOptions): void {
  socket.pause();
  configureSocket(socket, dialOptions);
  try {
    socket.connect(address);
  } catch (error) {
    // An invalid address throws and leaves the socket open.
    socket.destroy(error as Error);
  }
}

/**
 * The addresses to connect to and from, as `net.connect()` takes them.
 * @throws Error if they contradict each other or the path of a Unix socket is too long
 */
export function connectOptionsOf(dialOptions: DialOptions): SocketConnectOpts {
  const { protocol, host, port, path = '', localAddress, localPort } = dialOptions;
  if (protocol === 'mqtt+unix') {
    const length = Buffer.byteLength(path);
    if (length > MAX_PATH_BYTES)
      throw new Error(
        `expected the path of a Unix socket of at most ${MAX_PATH_BYTES} bytes, got ${length}: ${path}`,
      );
    return { path };
  }
  // A local address can only connect to addresses of its own family.
  const family = dialOptions.family ?? familyOf(localAddress);
  const hostFamily = familyOf(host);
  if (family !== undefined && hostFamily !== undefined && family !== hostFamily)
    throw new Error(`expected an IPv${family} address, got ${host}`);
  return { host, port, localAddress, localPort, family };
}

/** The family of an IP address; undefined for a name. */
function familyOf(address: string | undefined): 4 | 6 | undefined {
  const family = address === undefined ? 0 : isIP(address);
  return family === 0 ? undefined : (family as 4 | 6);
}

/** Sets the socket options. Must be called before the socket is connected. */
export function configureSocket(
  socket: Socket,
  { noDelay = true, tcpKeepAlive = TCP_KEEP_ALIVE }: DialOptions,
): void {
  socket.setNoDelay(noDelay);
  // The system counts in whole seconds and rejects 0.
  if (tcpKeepAlive > 0) socket.setKeepAlive(true, Math.ceil(tcpKeepAlive / 1_000) * 1_000);
  // Without a listener, an error would be an uncaught exception. The owner of the socket reads `socket.errored`.
  socket.on('error', () => {});
}
