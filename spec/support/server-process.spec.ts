import { existsSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { leakGuard } from './leaks.ts';
import { freePort } from './ports.ts';
import { printedRelease, type ServerProcess, startServer } from './server-process.ts';
import { accepts } from './ports.ts';

leakGuard();

/** A program that listens on a port, says so, and has a child that holds its output. */
const program = (port: number) => ({
  path: process.execPath,
  args: [
    '-e',
    `const child = require('node:child_process').spawn(process.execPath, ['-e', 'process.stdin.resume()'],
      { stdio: ['pipe', 'inherit', 'inherit'] });
    child.stdin.on('error', () => {});
    require('node:net').createServer().listen(${port}, '127.0.0.1', () => console.log('listening'));`,
  ],
  isReady: (printed: string) => printed.includes('listening') && accepts(port),
});

it('a server is ready when it says so, and leaves neither process nor file behind', async () => {
  const port = await freePort();
  let processes: ServerProcess | undefined;
  const server = await startServer('Example', async (own) => {
    processes = own;
    own.write('example.conf', 'line');
    await own.start(program(port));
    return port;
  });
  expect([server.port, await accepts(port)]).toEqual([port, true]);
  expect(existsSync(`${processes?.directory}/example.conf`)).toBe(true);
  await server.stop();
  expect([await accepts(port), existsSync(processes?.directory ?? '')]).toEqual([false, false]);
});

it('a server that does not start ends those that it needed, and the error has what it printed', async () => {
  const port = await freePort();
  let processes: ServerProcess | undefined;
  const starting = startServer('Example', async (own) => {
    processes = own;
    await own.start(program(port));
    const args = ['-e', 'console.error("no configuration"); process.exit(1)'];
    await own.start({ path: process.execPath, args, isReady: () => false });
    return port;
  });
  await expect(starting).rejects.toThrow(/expected .*node.* of Example to start, got\nno configuration/);
  expect([await accepts(port), existsSync(processes?.directory ?? '')]).toEqual([false, false]);
});

it('a program that is not installed is an error, not a wait', async () => {
  const starting = startServer('Example', async (own) => {
    await own.start({ path: '/no/such/program', args: [], isReady: () => false });
    return 0;
  });
  await expect(starting).rejects.toThrow('ENOENT');
});

it('a program tells its release', () => {
  expect(printedRelease(process.execPath, '--version')).toBe(process.versions.node);
});
