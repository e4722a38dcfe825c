import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { accepts, freePort } from './ports.ts';
import { programPath } from './program-path.ts';

/** Maximum ms for a broker to start. */
const PATIENCE = 10_000;

/** Options of a broker. */
export interface MosquittoOptions {
  /** Lines of its configuration file, such as `max_keepalive 10`. */
  readonly config?: readonly string[];
  /** Whether sessions and retained messages survive a restart, also after SIGKILL. @default false */
  readonly persistence?: boolean;
  /** @default a free one */
  readonly port?: number;
}

/** A Mosquitto process that accepts any local client. */
export class Mosquitto {
  readonly port: number;
  readonly url: string;
  readonly #directory: string;
  readonly #config: readonly string[];
  #process: ChildProcess | undefined;
  #log = '';

  constructor(port: number, { config = [], persistence = false }: MosquittoOptions) {
    this.port = port;
    this.url = `mqtt://127.0.0.1:${port}`;
    this.#directory = mkdtempSync(join(tmpdir(), `mqtt-await-mosquitto-${process.pid}-`));
    this.#config = [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      'log_dest stderr',
      ...['error', 'warning', 'notice', 'subscribe'].map((type) => `log_type ${type}`),
      ...(persistence
        ? [
            'persistence true',
            `persistence_location ${this.#directory}/`,
            'autosave_on_changes true',
            'autosave_interval 1',
          ]
        : []),
      ...config,
    ];
  }

  /** Starts the broker, and waits until it accepts connections. */
  async start(): Promise<void> {
    const file = join(this.#directory, 'mosquitto.conf');
    writeFileSync(file, `${this.#config.join('\n')}\n`);
    const child = spawn(programPath('mosquitto') ?? 'mosquitto', ['-c', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    this.#log = '';
    child.on('error', (error) => (this.#log += error.message));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    // Listeners start one after the other.
    for (const line of this.#config) {
      const [, port] = /^listener ([1-9]\d*) /.exec(line) ?? [];
      if (port !== undefined)
        await this.#until(() => accepts(Number(port)), `accept connections on port ${port}`);
    }
  }

  /** Waits until Mosquitto has accepted a subscription of this Client Identifier. */
  async subscribed(clientId: string): Promise<void> {
    await this.#until(() => this.#log.includes(`: ${clientId} `), `accept a subscription of ${clientId}`);
  }

  /** Ends the process, as a crash would (`SIGKILL`) or cleanly (`SIGTERM`), and waits for its exit. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.pid === undefined || !isRunning(child)) return;
    const exited = once(child, 'close');
    child.kill(signal);
    await exited;
  }

  /** Ends the broker cleanly if it runs, and starts it again on the same port and directory. */
  async restart(): Promise<void> {
    await this.kill('SIGTERM');
    await this.start();
  }

  /** Ends the broker and removes its files. */
  async stop(): Promise<void> {
    await this.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const child = this.#process;
    for (const end = performance.now() + PATIENCE; !(await isTrue()); await pause(5)) {
      if (child === undefined || !isRunning(child) || performance.now() > end)
        throw new Error(`expected Mosquitto to ${what}, got\n${this.#log}`);
    }
  }
}

/** Starts Mosquitto. */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const broker = new Mosquitto(options.port ?? (await freePort()), options);
  try {
    await broker.start();
  } catch (error) {
    await broker.stop();
    throw error;
  }
  return broker;
}

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;
