/** The servers of a bench, each started when it is first needed: null servers by transport, and Mosquitto. */
import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Mosquitto, startMosquitto } from '../../spec/support/mosquitto.ts';
import type { Over } from '../client/task.ts';
import type { Listening } from '../server/null-server.ts';
import { start } from './children.ts';
import type { Packages } from './packages.ts';

const SCHEMES: Readonly<Record<Over, string>> = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' };

export interface Server {
  readonly url: string;
  /** The certificate that verifies the server, with TLS. */
  readonly ca?: string | undefined;
  /** CPU seconds that it has used so far. */
  cpu(): Promise<number>;
}

/** No broker may drop or delay what a bench sends. */
const CONFIG = ['max_inflight_messages 0', 'max_queued_messages 0', 'set_tcp_nodelay true'];

export class Servers {
  readonly #packages: Packages;
  readonly #servers = new Map<Over | 'mosquitto', Promise<Server>>();
  readonly #children: ChildProcess[] = [];
  #mosquitto: Mosquitto | undefined;

  constructor(packages: Packages) {
    this.#packages = packages;
  }

  get(name: Over | 'mosquitto'): Promise<Server> {
    let server = this.#servers.get(name);
    if (server === undefined) {
      server = name === 'mosquitto' ? this.#startMosquitto() : this.#startNull(name);
      this.#servers.set(name, server);
    }
    return server;
  }

  async #startNull(over: Over): Promise<Server> {
    const { ours, scratch } = this.#packages;
    const certificate = over === 'tls' || over === 'wss' ? await makeCertificate(scratch) : {};
    const listening: Listening = { over, ...certificate };
    const program = join(ours, 'null-server.js');
    const { child, line } = await start(process.execPath, [program, JSON.stringify(listening)], 20_000);
    this.#children.push(child);
    return {
      url: `${SCHEMES[over]}://127.0.0.1:${line}`,
      ca: listening.cert,
      async cpu() {
        const answer = once(child, 'message');
        child.send('cpu');
        const [microseconds] = (await answer) as [number];
        return microseconds / 1e6;
      },
    };
  }

  async #startMosquitto(): Promise<Server> {
    const mosquitto = await startMosquitto({ config: CONFIG });
    this.#mosquitto = mosquitto;
    return { url: mosquitto.url, cpu: () => Promise.resolve(NaN) };
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.allSettled(this.#servers.values());
    await this.#mosquitto?.stop();
  }
}

async function makeCertificate(directory: string): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const how = ['-x509', '-nodes', '-days', '1', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  await promisify(execFile)('openssl', ['req', ...how, ...subject, '-keyout', key, '-out', cert]);
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
