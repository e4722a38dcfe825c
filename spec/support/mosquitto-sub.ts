import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ProtocolVersion, QoS } from '../../lib/codec/packets.ts';
import type { Mosquitto } from './mosquitto.ts';
import { programPath } from './programs.ts';

/** A subscription of an independent client. */
export interface MosquittoSubOptions {
  readonly topicFilter: string;
  /** @default 0 */
  readonly qos?: QoS;
  /** @default 4 */
  readonly version?: ProtocolVersion;
  /** Number of messages to wait for. @default all until `stop()` */
  readonly count?: number;
}

/** A message that mosquitto_sub printed. */
export interface PrintedMessage {
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payload: Buffer;
  readonly text: string;
}

/** A running mosquitto_sub. */
export interface MosquittoSub {
  /** Messages printed so far. */
  readonly messages: readonly PrintedMessage[];
  /** All messages, after `count` of them or after `stop()`. Rejects if the process ends before that. */
  readonly done: Promise<readonly PrintedMessage[]>;
  /** The messages of one topic, when this many have come. Rejects if the process ends before that. */
  seen(topic: string, count: number): Promise<readonly PrintedMessage[]>;
  /** Stops the process. */
  stop(): Promise<void>;
}

const VERSIONS = { 3: 'mqttv31', 4: 'mqttv311', 5: 'mqttv5' } as const;
let serial = 0;

/** Subscribes with mosquitto_sub. Resolves when the broker has accepted the subscription. */
export async function subscribeWithMosquitto(
  broker: Mosquitto,
  options: MosquittoSubOptions,
): Promise<MosquittoSub> {
  const { topicFilter, qos = 0, version = 4, count } = options;
  const clientId = `sub-${process.pid}-${++serial}`;
  const args = [
    '-p',
    `${broker.port}`,
    '-h',
    '127.0.0.1',
    '-i',
    clientId,
    '-V',
    VERSIONS[version],
    '-q',
    `${qos}`,
  ];
  // The payload is in hex, as it may contain line ends. The topic is last, as it may contain blanks.
  args.push('-t', topicFilter, '-F', '%q %r %x\t%t', ...(count === undefined ? [] : ['-C', `${count}`]));
  const child = spawn(programPath('mosquitto_sub') ?? 'mosquitto_sub', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const messages: PrintedMessage[] = [];
  const looking = new Set<() => void>();
  let rest = '';
  let complaint = '';
  let isStopped = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    messages.push(...lines.map(parse));
    for (const look of looking) look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const done = once(child, 'close').then(([code]) => {
    if (isStopped || (code === 0 && messages.length === count)) return messages;
    throw new Error(
      `expected mosquitto_sub to receive ${count ?? 'any'} messages, got ${messages.length} ${complaint}`,
    );
  });
  done.catch(() => {}); // handled by its callers
  const seen = (topic: string, number: number): Promise<readonly PrintedMessage[]> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = messages.filter((message) => message.topic === topic);
        if (found.length < number) return;
        looking.delete(look);
        resolve(found);
      };
      looking.add(look);
      const early = (): void =>
        reject(new Error(`expected ${number} messages of ${topic}, got the end of mosquitto_sub`));
      done.then(early, early);
      look();
    });
  const stop = async (): Promise<void> => {
    isStopped = true;
    child.kill('SIGKILL');
    await done.catch(() => {});
  };
  try {
    await Promise.race([broker.subscribed(clientId), done]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { messages, done, seen, stop };
}

function parse(line: string): PrintedMessage {
  const tab = line.indexOf('\t');
  const [qos, retain, hex] = line.slice(0, tab).split(' ') as [string, string, string | undefined];
  const payload = Buffer.from(hex ?? '', 'hex');
  return {
    topic: line.slice(tab + 1),
    qos: Number(qos),
    retain: retain === '1',
    payload,
    text: payload.toString(),
  };
}
