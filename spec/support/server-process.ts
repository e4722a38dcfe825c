import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { programPath } from './program-path.ts';

/** Maximum ms for a server to start. Erlang loads its modules from disk, and every core may be busy. */
const PATIENCE = 90_000;

/** A program to start. */
export interface Program {
  readonly path: string;
  readonly args: readonly string[];
  /** Added to the environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether it is ready, by what it has printed so far. */
  readonly isReady: (printed: string) => boolean | Promise<boolean>;
}

/** The processes of one server, in a temporary directory of their own. */
export class ServerProcess {
  /** The data, the configuration and the home of the processes. */
  readonly directory: string;
  readonly #name: string;
  readonly #running: ChildProcess[] = [];
  /** Ends the processes together with this one if no spec could. */
  readonly #exit = (): void => {
    for (const child of this.#running) child.kill('SIGKILL');
  };

  constructor(name: string) {
    this.#name = name;
    this.directory = mkdtempSync(join(tmpdir(), `mqtt-await-${name.toLowerCase()}-${process.pid}-`));
    process.once('exit', this.#exit);
  }

  /** Writes a file of the directory, and returns its path. */
  write(file: string, ...lines: readonly string[]): string {
    const path = join(this.directory, file);
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  }

  /** Starts a program, and waits until it is ready. */
  async start({ path, args, env = {}, isReady }: Program): Promise<void> {
    const child = spawn(path, args, {
      cwd: this.directory,
      env: { ...process.env, HOME: this.directory, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.push(child);
    let printed = '';
    let isClosed = false;
    child.on('error', (error) => (printed += error.message));
    child.on('close', () => (isClosed = true));
    for (const output of [child.stdout, child.stderr])
      output.setEncoding('utf8').on('data', (text: string) => (printed += text));
    for (const end = performance.now() + PATIENCE; !(await isReady(printed)); await pause(10))
      if (isClosed || performance.now() > end)
        throw new Error(`expected ${path} of ${this.#name} to start, got\n${printed}`);
  }

  /** Ends the processes, last first, waits until nobody holds their output, and removes their files. */
  async stop(): Promise<void> {
    for (let child = this.#running.pop(); child !== undefined; child = this.#running.pop()) {
      if (child.pid === undefined || !isRunning(child)) continue;
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    }
    process.off('exit', this.#exit);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

/** The release in what a program prints about itself, such as `2.0.11`. */
export function printedRelease(program: string, argument: string): string | undefined {
  const { stdout } = spawnSync(programPath(program) ?? program, [argument], { encoding: 'utf8' });
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0];
}

/** A broker that the specs started. */
export interface StartedBroker {
  readonly port: number;
  /** Ends it, and removes its files. */
  stop(): Promise<void>;
}

/** A limit that a broker can be given. */
export interface SizeLimit {
  /** Bytes of a message. @default that of the broker */
  readonly maximumSize?: number;
}

/** Calls `start`. If it fails, the processes that it started end. */
export async function startServer(
  name: string,
  start: (processes: ServerProcess) => Promise<number>,
): Promise<StartedBroker> {
  const processes = new ServerProcess(name);
  try {
    const port = await start(processes);
    return { port, stop: () => processes.stop() };
  } catch (error) {
    await processes.stop();
    throw error;
  }
}
