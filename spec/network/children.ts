import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** ms after which a program is killed. */
const PATIENCE = 60_000;

/** How a program ended. */
export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | string;
  /** Lines on its stdout. */
  readonly lines: readonly string[];
  readonly complaint: string;
}

/** A program in a process of its own. */
export interface Child {
  readonly ended: Promise<Ended>;
  /** Waits until it has printed this line. */
  printed(line: string): Promise<void>;
  /** Writes a line to its stdin. */
  tell(line: string): void;
  /** Kills it, and waits for its exit. */
  kill(): Promise<void>;
}

const running = new Set<ChildProcess>();

/** Paths of built programs, by name. */
const built = new Map<string, string>();

/**
 * Builds a program of this folder once: running it from its sources takes a second each time. The file has no source map:
 * Node.js would parse it at every start, which takes longer than the start itself. Stacks refer to the built file.
 */
function build(name: string): string {
  const known = built.get(name);
  if (known !== undefined) return known;
  // Below node_modules, so that packages are found. Workers build concurrently, so each has its own directory.
  const outfile = join(
    ROOT,
    `node_modules/.cache/mqtt-await-specs/${process.env['JEST_WORKER_ID'] ?? 0}/${name}.mjs`,
  );
  buildSync({
    entryPoints: [fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    logLevel: 'warning',
  });
  built.set(name, outfile);
  return outfile;
}

/** Starts one of the programs of this folder. */
export function startProgram(name: string, ...args: readonly string[]): Child {
  return startProgramIn({}, name, ...args);
}

/** Starts one of the programs of this folder, with more variables in its environment. */
export function startProgramIn(env: NodeJS.ProcessEnv, name: string, ...args: readonly string[]): Child {
  // Some programs measure memory. An unhandled rejection ends any of them.
  const flags = ['--expose-gc', '--unhandled-rejections=strict'];
  return startNode([...flags, build(name), ...args], ROOT, env);
}

/** Starts Node with these arguments. */
export function startNode(args: readonly string[], cwd: string = ROOT, env: NodeJS.ProcessEnv = {}): Child {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  const lines: string[] = [];
  let complaint = '';
  let look = (): void => {};
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const ended = once(child, 'close').then(([code, signal]: (number | string | null)[]) => {
    clearTimeout(timer);
    running.delete(child);
    return { code: code ?? signal ?? '', lines, complaint };
  });
  const printed = async (line: string): Promise<void> => {
    const seen = new Promise<void>((resolve) => {
      look = () => {
        if (lines.includes(line)) resolve();
      };
      look();
    });
    const early = (async () => {
      const { code } = await ended;
      if (!lines.includes(line)) throw new Error(`expected "${line}", got the end (${code}): ${complaint}`);
    })();
    await Promise.race([seen, early]);
  };
  // A program that has ended reads nothing.
  child.stdin.on('error', () => {});
  const tell = (line: string): void => void child.stdin.write(`${line}\n`);
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return { ended, printed, tell, kill };
}

/** Kills programs that a failed spec has left. */
export async function endPrograms(): Promise<void> {
  for (const child of running) {
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }
}
