/** MQTT over TCP (§4.2), and over Unix sockets. */

import { isIP, Socket, type SocketConnectOpts } from 'node:net';
import { connectFirst } from './happy-eyeballs.ts';
import { ReadTarget, StreamTransport } from './stream.ts';
import type { DialOptions, Transport } from './transport.ts';

/** ms: see `SocketOptions.tcpKeepAlive`. */
const KEEP_ALIVE = 60_000;

/** Bytes that the path of a Unix socket may have: the system cuts a longer one off, and connects to what is left. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;

/**
 * Opens a TCP connection or a Unix socket. An address that is being looked up when `signal` aborts is looked up to the
 * end, as the platform cannot call that off; nobody hears of it any more.
 */
export async function dialTcp(dialOptions: DialOptions, signal: AbortSignal): Promise<Transport> {
  const { socket, readTarget } = await connect(dialOptions, signal, () => new ReadTarget());
  return new StreamTransport(socket, { readTarget });
}

/** The socket of a road without a proxy, connected. It is paused: nothing is read before somebody asks for it. */
export async function openSocket(dialOptions: DialOptions, signal: AbortSignal): Promise<Socket> {
  return (await connect(dialOptions, signal, () => undefined)).socket;
}

/** A connected socket, and where it reads to. */
interface Connected<L> {
  readonly socket: Socket;
  readonly readTarget: L;
}

function connect<L extends ReadTarget | undefined>(
  dialOptions: DialOptions,
  signal: AbortSignal,
  readTargetOf: () => L,
): Promise<Connected<L>> {
  return connectFirst(addressOf(dialOptions), signal, (target) => {
    const readTarget = readTargetOf();
    const socket = new Socket(readTarget?.options);
    readTarget?.of(socket);
    socket.pause();
    tune(socket, dialOptions);
    try {
      socket.connect(target);
    } catch (error) {
      // An address that is none is refused at once, and leaves the socket as it was.
      socket.destroy(error as Error);
    }
    return { socket, readTarget };
  });
}

/**
 * Where a road leads to and comes from, as sockets want it.
 * @throws Error where it cannot lead there, and Node would not say so
 */
export function addressOf(dialOptions: DialOptions): SocketConnectOpts {
  const {
    protocol,
    host,
    port,
    path = '',
    localAddress,
    localPort,
    family = familyOf(localAddress),
  } = dialOptions;
  if (protocol === 'mqtt+unix') {
    const length = Buffer.byteLength(path);
    if (length > LONGEST_PATH)
      throw new Error(
        `expected the path of a Unix socket of at most ${LONGEST_PATH} bytes, got ${length}: ${path}`,
      );
    return { path };
  }
  const given = familyOf(host);
  if (family !== undefined && given !== undefined && family !== given)
    throw new Error(`expected an address of IPv${family}, got ${host}`);
  return {
    host,
    port,
    ...(localAddress !== undefined && { localAddress }),
    ...(localPort !== undefined && { localPort }),
    ...(family !== undefined && { family }),
  };
}

/** Of an address; a name has none of its own. What is to come from an address can only go to one of its family. */
function familyOf(address: string | undefined): 4 | 6 | undefined {
  const family = address === undefined ? 0 : isIP(address);
  return family === 0 ? undefined : (family as 4 | 6);
}

/** What holds for every socket of a dialOptions. To be said before the connection is there. */
export function tune(socket: Socket, { noDelay = true, tcpKeepAlive = KEEP_ALIVE }: DialOptions): void {
  socket.setNoDelay(noDelay);
  // The system counts in seconds, and takes 0 of them for a mistake.
  if (tcpKeepAlive > 0) socket.setKeepAlive(true, Math.ceil(tcpKeepAlive / 1_000) * 1_000);
  // Without a listener for it, an error would be an uncaught exception; whoever has the socket looks for its reason.
  socket.on('error', () => {});
}
