import { readFileSync } from 'node:fs';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { startAedes } from '../support/aedes.ts';
import { EJABBERD_USER, ejabberdRelease, startEjabberd } from '../support/ejabberd.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startNats } from '../support/nats.ts';
import { rabbitMqRelease, startRabbitMq } from '../support/rabbitmq.ts';
import { printedRelease, type StartedBroker } from '../support/server-process.ts';
import type { Measure } from './broker-measures.ts';

/*
 * The brokers of docs/brokers.md, and what each of them does: broker-specs.ts measures every value.
 */

/** Its package exports no manifest. */
const aedesRelease = (): string => {
  const manifest = readFileSync(new URL('../../node_modules/aedes/package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
};

/** Bytes that a message may have, where a broker can be told so. */
export const MAXIMUM_SIZE = 1_000_000;

/** What is known of a broker. The last two are measured by specs of their own. */
export type Fact = Measure | 'too large' | 'Keep Alive';

/** A value: the same for all versions of a broker, or one for each. */
type Value = string | Partial<Record<ProtocolVersion, string>>;

export interface TestedBroker {
  readonly name: 'Mosquitto' | 'Aedes' | 'ejabberd' | 'RabbitMQ' | 'NATS';
  /** The release that the values are of. */
  readonly release: string;
  /** The installed release. Called only if it is installed. */
  installed(): string | undefined;
  readonly versions: readonly ProtocolVersion[];
  readonly credentials: { readonly username?: string; readonly password?: string };
  start(): Promise<StartedBroker>;
  /** Whether order is kept when messages keep coming while a session is resumed. */
  readonly keepsOrder: boolean;
  readonly values: Readonly<Record<Fact, Value>>;
}

/** For a broker without MQTT 5.0. */
const NO_5 = {
  'Receive Maximum': '–',
  'Subscription Identifiers': '–',
  'Topic Alias Maximum': '–',
  'announced Receive Maximum': '–',
  'Maximum Packet Size': '–',
  nobody: '–',
} as const;

export const BROKERS: readonly TestedBroker[] = [
  {
    name: 'Mosquitto',
    release: '2.0.11',
    installed: () => printedRelease('mosquitto', '-h'),
    versions: [3, 4, 5],
    credentials: {},
    start: () =>
      startMosquitto({
        config: [`max_packet_size ${MAXIMUM_SIZE}`, 'max_queued_messages 0', 'set_tcp_nodelay true'],
      }),
    keepsOrder: true,
    values: {
      'Keep Alive': 'yes',
      'version 3.1': 'yes',
      'version 3.1.1': 'yes',
      'version 5.0': 'yes',
      'granted QoS': '2',
      'QoS 2': 'yes',
      retained: 'yes',
      window: '20',
      'Receive Maximum': '10',
      resume: '1D 2D 3D 4 5 6 7',
      copies: { 3: 'one, QoS 1', 4: 'one, QoS 1', 5: '2, QoS 0 and 1' },
      'shared subscriptions': 'yes',
      'Subscription Identifiers': 'yes',
      'Topic Alias Maximum': '10',
      'announced Receive Maximum': '20',
      'too large': { 3: 'closes the connection', 4: 'closes the connection', 5: 'announces the limit' },
      'Maximum Packet Size': 'yes',
      dollar: 'no',
      space: 'yes',
      dot: 'yes',
      asterisk: 'yes',
      'taken over': 'closes the connection',
      nobody: '0x10',
    },
  },
  {
    name: 'Aedes',
    release: '1.2.0',
    installed: aedesRelease,
    versions: [3, 4],
    credentials: {},
    start: async () => {
      const broker = await startAedes();
      return { port: broker.port, stop: () => broker.close() };
    },
    keepsOrder: false,
    values: {
      'Keep Alive': 'yes',
      'version 3.1': 'yes',
      'version 3.1.1': 'yes',
      'version 5.0': 'refused, 0x84',
      'granted QoS': '2',
      'QoS 2': 'yes',
      retained: 'yes',
      window: 'no limit',
      resume: '1 2 3 4 5 6 7',
      copies: 'one, QoS 0',
      'shared subscriptions': 'accepted, but no messages',
      'too large': 'passes',
      dollar: 'no',
      space: 'yes',
      dot: 'yes',
      asterisk: 'yes',
      'taken over': 'closes the connection',
      ...NO_5,
    },
  },
  {
    name: 'ejabberd',
    release: '23.01',
    installed: ejabberdRelease,
    versions: [4, 5],
    credentials: EJABBERD_USER,
    start: () => startEjabberd({ maximumSize: MAXIMUM_SIZE }),
    keepsOrder: true,
    values: {
      'Keep Alive': 'yes',
      'version 3.1': 'refused, 0x01',
      'version 3.1.1': 'yes',
      'version 5.0': 'yes',
      'granted QoS': '2',
      'QoS 2': 'yes',
      retained: 'yes',
      window: '1',
      'Receive Maximum': '1',
      resume: '1D 2 3 4 5 6 7',
      copies: '2, QoS 0 and 1',
      'shared subscriptions': { 4: 'closes the connection', 5: 'closes the connection, 0x9e' },
      'Subscription Identifiers': 'yes',
      'Topic Alias Maximum': '100',
      'announced Receive Maximum': 'none',
      'too large': 'closes the connection',
      'Maximum Packet Size': 'no',
      dollar: { 4: 'no', 5: 'refused, 0x90' },
      space: 'yes',
      dot: 'yes',
      asterisk: 'yes',
      'taken over': { 4: 'closes the connection', 5: 'DISCONNECT 0x8e' },
      nobody: '0x10',
    },
  },
  {
    name: 'RabbitMQ',
    release: '3.10.8',
    installed: rabbitMqRelease,
    versions: [3, 4],
    credentials: {},
    start: () => startRabbitMq({ maximumSize: MAXIMUM_SIZE }),
    keepsOrder: true,
    values: {
      'Keep Alive': 'yes',
      'version 3.1': 'yes',
      'version 3.1.1': 'yes',
      'version 5.0': 'closes without CONNACK',
      'granted QoS': '1',
      'QoS 2': 'answers PUBACK',
      retained: 'not for wildcards',
      window: '10',
      resume: '1D 2D 3D 4 5 6 7',
      copies: '2, QoS 0 and 1',
      'shared subscriptions': 'accepted, but no messages',
      'too large': 'never answers',
      dollar: 'yes',
      space: 'yes',
      dot: 'arrives as `a/b/c`',
      asterisk: 'arrives invalid',
      'taken over': 'closes the connection',
      ...NO_5,
    },
  },
  {
    name: 'NATS',
    release: '2.9.10',
    installed: () => printedRelease('nats-server', '--version'),
    versions: [4],
    credentials: {},
    start: () => startNats({ maximumSize: MAXIMUM_SIZE }),
    keepsOrder: false,
    values: {
      'Keep Alive': 'yes',
      'version 3.1': 'closes without CONNACK',
      'version 3.1.1': 'yes',
      'version 5.0': 'refused, 0x84',
      'granted QoS': '1',
      'QoS 2': 'closes the connection',
      retained: 'yes',
      window: '1024',
      resume: '4 5 6 7 1D 2D 3D',
      copies: '2, QoS 0 and 1',
      'shared subscriptions': 'accepted, but no messages',
      'too large': 'passes',
      dollar: 'yes',
      space: 'closes the connection',
      dot: 'closes the connection',
      asterisk: 'yes',
      'taken over': 'closes the connection',
      ...NO_5,
    },
  },
];

/** The value for a version. */
export function valueOf(broker: TestedBroker, fact: Fact, version: ProtocolVersion): string | undefined {
  const value = broker.values[fact];
  return typeof value === 'string' ? value : value[version];
}
