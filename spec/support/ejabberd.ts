import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { programPath } from './program-path.ts';
import { type SizeLimit, type StartedBroker, startServer } from './server-process.ts';
import { accepts } from './ports.ts';

/** User names are Jabber identifiers. With any password, it accepts each of this host. */
export const EJABBERD_USER = { username: 'spec@localhost', password: 'any' } as const;

/** A variable of the script that would start it: `ERL`, the Erlang runtime, or `ERL_LIBS`, the directory of its libraries. */
function place(name: 'ERL' | 'ERL_LIBS'): string | undefined {
  const script = readFileSync(programPath('ejabberdctl') ?? 'ejabberdctl', 'utf8');
  return new RegExp(`^${name}=["']?([^"'\\n]+)`, 'm').exec(script)?.[1];
}

/** The installed release, such as `23.01`. */
export function ejabberdRelease(): string | undefined {
  const libraries = readdirSync(place('ERL_LIBS') ?? '/');
  return libraries
    .map((name) => /^ejabberd-([\d.]+)/.exec(name)?.[1])
    .find((release) => release !== undefined);
}

/**
 * Starts ejabberd with its MQTT module only. `ejabberdctl` would run it as another user, as an Erlang node that others
 * can reach and with a port mapper that stays: so this starts the Erlang runtime itself, without distribution.
 */
export function startEjabberd({ maximumSize }: SizeLimit = {}): Promise<StartedBroker> {
  return startServer('ejabberd', async (processes) => {
    const port = await freePort();
    const config = processes.write(
      'ejabberd.yml',
      'hosts: [localhost]',
      'auth_method: anonymous',
      'anonymous_protocol: login_anon',
      'allow_multiple_connections: true',
      'listen:',
      '  - module: mod_mqtt',
      '    ip: "127.0.0.1"',
      `    port: ${port}`,
      '    backlog: 100',
      ...(maximumSize === undefined ? [] : [`    max_payload_size: ${maximumSize}`]),
      'modules:',
      '  mod_mqtt:',
      '    max_queue: infinity',
    );
    const spool = join(processes.directory, 'spool');
    await processes.start({
      path: place('ERL') ?? programPath('erl') ?? 'erl',
      // Without busy waiting: the specs share the cores.
      args: `+sbwt none +sbwtdcpu none +sbwtdio none -noinput -mnesia dir "${spool}" -s ejabberd`.split(' '),
      env: {
        EJABBERD_CONFIG_PATH: config,
        EJABBERD_LOG_PATH: join(processes.directory, 'ejabberd.log'),
        ERL_LIBS: place('ERL_LIBS'),
        ERL_CRASH_DUMP_BYTES: '0',
        // Names without the resolver of the system: that would be a process of its own.
        ERL_INETRC: processes.write('inetrc', '{lookup, [file]}.'),
      },
      isReady: (printed) => printed.includes('Start accepting TCP connections') && accepts(port),
    });
    return port;
  });
}
