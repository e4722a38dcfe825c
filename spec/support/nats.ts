import { freePort } from './ports.ts';
import { programPath } from './program-path.ts';
import { type SizeLimit, type StartedBroker, startServer } from './server-process.ts';
import { accepts } from './ports.ts';

/** Seconds after which it sends an unacknowledged message again. Its default of 30 is too long for specs. */
export const NATS_ACK_WAIT = 1;

/** Starts a NATS server with its MQTT listener: MQTT 3.1.1. Its sessions and retained messages need JetStream. */
export function startNats({ maximumSize }: SizeLimit = {}): Promise<StartedBroker> {
  return startServer('NATS', async (processes) => {
    const [port, nats] = await Promise.all([freePort(), freePort()]);
    const config = processes.write(
      'nats.conf',
      `listen: "127.0.0.1:${nats}"`,
      'server_name: spec',
      `jetstream { store_dir: "${processes.directory}", max_mem: 64MB, max_file: 1GB }`,
      `mqtt { listen: "127.0.0.1:${port}", ack_wait: "${NATS_ACK_WAIT}s" }`,
      ...(maximumSize === undefined ? [] : [`max_payload: ${maximumSize}`]),
    );
    await processes.start({
      path: programPath('nats-server') ?? 'nats-server',
      args: ['-c', config],
      isReady: (printed) => printed.includes('Server is ready') && accepts(port),
    });
    return port;
  });
}
