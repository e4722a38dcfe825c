/** The processes of a bench. None of them outlives it. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';

const live = new Set<ChildProcess>();

export function killAll(): void {
  for (const child of live) child.kill('SIGKILL');
}

process.on('exit', killAll);

export interface Program {
  readonly child: ChildProcess;
  /** The first line that the program has printed. */
  readonly line: string;
}

/** Starts a program, and waits at most `timeout` ms for the first line that it prints. */
export async function start(
  command: string,
  args: readonly string[],
  timeout: number,
  { ipc = true, env }: { readonly ipc?: boolean; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Program> {
  const stdio: StdioOptions = ['ignore', 'pipe', 'inherit', ...(ipc ? (['ipc'] as const) : [])];
  const child = spawn(command, args, {
    stdio,
    ...(env !== undefined && { env: { ...process.env, ...env } }),
  });
  live.add(child);
  const closed = once(child, 'close').finally(() => live.delete(child));
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  const ended = closed.then(([code, signal]: (number | string | null)[]) => {
    throw new Error(`a program of the bench ended with ${code ?? signal}: ${command} ${args.join(' ')}`);
  });
  ended.catch(() => {});
  let text = '';
  const printed = new Promise<string>((resolve) => {
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end !== -1) resolve(text.slice(0, end));
    });
  });
  try {
    return { child, line: await Promise.race([printed, ended]) };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a program to its end, and returns the first line that it prints. */
export async function run(
  command: string,
  args: readonly string[],
  timeout: number,
  options?: { readonly ipc?: boolean; readonly env?: NodeJS.ProcessEnv },
): Promise<string> {
  const { child, line } = await start(command, args, timeout, options);
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  clearTimeout(timer);
  return line;
}
