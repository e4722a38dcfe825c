import { mkdirSync, readdirSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort } from './ports.ts';
import { programPath } from './program-path.ts';
import { type SizeLimit, type StartedBroker, startServer } from './server-process.ts';
import { accepts } from './ports.ts';

/** `rabbitmq-server` in the path of Debian would run as another user. */
const PLACES = ['/usr/lib/rabbitmq/bin', '/opt/homebrew/sbin'];

const rabbitMqPath = (): string | undefined => programPath('rabbitmq-server', PLACES);

/** The installed release, such as `3.10.8`: it is in the path of the program. */
export function rabbitMqRelease(): string | undefined {
  const path = rabbitMqPath();
  return path === undefined ? undefined : /rabbitmq_server-([\d.]+)/.exec(realpathSync(path))?.[1];
}

/** Plugins, and libraries of plugins, that the server does not need for MQTT over TCP. */
const UNUSED =
  /^(?:amqp10_client|cowboy|cowlib|eetcd|gun|jose|prometheus|quantile_estimator|rabbitmq_(?!prelaunch|mqtt-).*)-/;

/**
 * Writes a home for the server that has only what it needs, as links: at every start, it looks for each module in all
 * plugins, and reads those of all plugins. Returns the directory of the scripts in it.
 */
function writeHome(directory: string): string {
  const scripts = dirname(realpathSync(rabbitMqPath() ?? 'rabbitmq-server'));
  const [sbin, plugins] = [join(directory, 'home/sbin'), join(directory, 'home/plugins')];
  mkdirSync(sbin, { recursive: true });
  mkdirSync(plugins);
  for (const name of readdirSync(scripts)) symlinkSync(join(scripts, name), join(sbin, name));
  const all = join(scripts, '../plugins');
  for (const name of readdirSync(all))
    if (!UNUSED.test(name)) symlinkSync(join(all, name), join(plugins, name));
  return sbin;
}

/**
 * Starts RabbitMQ with its MQTT plugin only: MQTT 3.1 and 3.1.1. It does not start without a port mapper of Erlang nodes
 * (epmd), and would leave one running: so this starts one of its own first, on a free port.
 */
export function startRabbitMq({ maximumSize }: SizeLimit = {}): Promise<StartedBroker> {
  return startServer('RabbitMQ', async (processes) => {
    const [port, mapper, node] = await Promise.all([freePort(), freePort(), freePort()]);
    const env = {
      ERL_EPMD_PORT: `${mapper}`,
      ERL_EPMD_ADDRESS: '127.0.0.1',
      ERL_CRASH_DUMP_BYTES: '0',
      ERL_INETRC: processes.write('inetrc', '{lookup, [file]}.'),
      RABBITMQ_SCRIPTS_DIR: writeHome(processes.directory),
      RABBITMQ_NODENAME: 'spec@localhost',
      RABBITMQ_DIST_PORT: `${node}`,
      RABBITMQ_CONF_ENV_FILE: processes.write('rabbitmq-env.conf'),
      RABBITMQ_CONFIG_FILE: processes.write(
        'rabbitmq.conf',
        'listeners.tcp = none',
        `mqtt.listeners.tcp.1 = 127.0.0.1:${port}`,
        ...(maximumSize === undefined ? [] : [`max_message_size = ${maximumSize}`]),
        'log.file = false',
        'log.console = true',
      ),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(processes.directory, 'advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: processes.write('enabled_plugins', '[rabbitmq_mqtt].'),
      RABBITMQ_MNESIA_BASE: join(processes.directory, 'mnesia'),
      RABBITMQ_LOG_BASE: join(processes.directory, 'log'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        '-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none',
      // Makes the script become the server, instead of a parent of it.
      RUNNING_UNDER_SYSTEMD: 'true',
    };
    await processes.start({
      path: programPath('epmd') ?? 'epmd',
      args: ['-port', `${mapper}`, '-address', '127.0.0.1'],
      env,
      isReady: () => accepts(mapper),
    });
    await processes.start({
      path: rabbitMqPath() ?? 'rabbitmq-server',
      args: [],
      env,
      isReady: (printed) => printed.includes('Server startup complete') && accepts(port),
    });
    return port;
  });
}
