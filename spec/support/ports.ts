import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Ports below those that Linux and macOS give to outgoing connections and to `listen(0)`. */
const [FIRST, PAST] = [20_000, 32_768] as const;

/**
 * A free port. It stays free until a server of a spec takes it: one that the system chooses could be given to somebody
 * else meanwhile, as specs run concurrently and open thousands of connections.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (PAST - FIRST));
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') continue;
      throw error;
    }
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Whether a server listens on a local port. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
