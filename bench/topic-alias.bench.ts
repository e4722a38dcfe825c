/**
 * Topic Aliases that the client chooses (`topicAlias: 'auto'`) against whole Topic Names: bytes on the wire, and CPU time
 * of the client, for each message over a real TCP socket.
 *
 *   npx tsx bench/topic-alias.bench.ts             less than a minute
 *   npx tsx bench/topic-alias.bench.ts 200000      messages of one run, instead of 50,000
 *
 * The server is a process of its own. It takes 10 aliases, as Mosquitto does, and answers QoS 1 at once. The two ways take
 * turns in one process, and the figures are medians. Read the ratios: times depend on other load on the machine.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { connect, type Client } from '../lib/index.ts';

const RUNS = 7;
const WINDOW = 1_000;
const PAYLOAD = 'x'.repeat(16);
const WAYS = ['off', 'auto'] as const;
type Way = (typeof WAYS)[number];

interface Scenario {
  readonly name: string;
  readonly qos: 0 | 1;
  /** The topic of message `i`, as a number. */
  readonly topic: (i: number) => number;
}

/** Most messages go to few topics: 100 topics, of which ten get nine tenths. */
const skewed = (i: number): number => {
  const random = (Math.imul(i + 1, 0x9e37_79b1) >>> 8) % 1_000;
  return random < 900 ? random % 10 : 10 + (random % 90);
};

const SCENARIOS: readonly Scenario[] = [
  { name: 'QoS 0, one topic', qos: 0, topic: () => 0 },
  { name: 'QoS 0, 10 topics in turn', qos: 0, topic: (i) => i % 10 },
  { name: 'QoS 0, 100 topics, ten of them often', qos: 0, topic: skewed },
  { name: 'QoS 0, 15 topics in turn', qos: 0, topic: (i) => i % 15 },
  { name: 'QoS 0, 100 topics in turn', qos: 0, topic: (i) => i % 100 },
  { name: 'QoS 1, 10 topics in turn', qos: 1, topic: (i) => i % 10 },
];

const TOPICS = Array.from({ length: 100 }, (_, i) => `site/7/line/${i}/sensor/temperature`);

// --- the server ------------------------------------------------------------------------------------------------------

/** CONNACK with Topic Alias Maximum 10. */
const CONNACK = Buffer.from([0x20, 6, 0, 0, 3, 0x22, 0, 10]);

function serve(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    const input = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const answers: number[] = [];
    let at = 0;
    while (input.length - at >= 2) {
      // No packet of this bench is longer than 127 bytes, but CONNECT may be.
      const isLong = input[at + 1]! > 0x7f;
      if (isLong && input.length - at < 3) break;
      const start = at + (isLong ? 3 : 2);
      const end = start + (isLong ? (input[at + 1]! & 0x7f) | (input[at + 2]! << 7) : input[at + 1]!);
      if (end > input.length) break;
      const header = input[at]!;
      if (header === 0x10) socket.write(CONNACK);
      else if (header === 0x32) {
        const packetId = start + 2 + input.readUInt16BE(start);
        answers.push(0x40, 2, input[packetId]!, input[packetId + 1]!);
      }
      at = end;
    }
    rest = input.subarray(at);
    if (answers.length > 0) socket.write(Buffer.from(answers));
  });
}

// --- the client ------------------------------------------------------------------------------------------------------

async function publish(client: Client, { qos, topic }: Scenario, messages: number): Promise<void> {
  for (let i = 0; i < messages;) {
    const all: Promise<unknown>[] = [];
    for (; all.length < WINDOW && i < messages; i++)
      all.push(client.publish(TOPICS[topic(i)]!, PAYLOAD, { qos }));
    await Promise.all(all);
  }
  await client.drain();
}

/** Bytes and CPU time in µs for each message of one connection. */
async function measure(url: string, way: Way, scenario: Scenario, messages: number) {
  const client = await connect(url, { protocolVersion: 5, topicAlias: way, maxInflight: WINDOW });
  const sent = client.stats().bytes.sent;
  const cpu = process.cpuUsage();
  await publish(client, scenario, messages);
  const { user, system } = process.cpuUsage(cpu);
  return { bytes: (client.stats().bytes.sent - sent) / messages, cpu: (user + system) / messages };
}

function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[all.length >> 1]!;
}

async function main(messages: number): Promise<void> {
  const program = [...process.execArgv, fileURLToPath(import.meta.url), 'server'];
  const server = spawn(process.execPath, program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [port] = (await once(server.stdout, 'data')) as [Buffer];
  const url = `mqtt://127.0.0.1:${port.toString().trim()}`;
  const rows: Record<string, Record<string, string>> = {};
  for (const scenario of SCENARIOS) {
    const figures = { off: { bytes: [], cpu: [] }, auto: { bytes: [], cpu: [] } } as Record<
      Way,
      { bytes: number[]; cpu: number[] }
    >;
    for (const way of WAYS) await measure(url, way, scenario, messages / 5);
    for (let run = 0; run < RUNS; run++)
      for (const way of run % 2 === 0 ? WAYS : WAYS.toReversed()) {
        const { bytes, cpu } = await measure(url, way, scenario, messages);
        figures[way].bytes.push(bytes);
        figures[way].cpu.push(cpu);
      }
    const of = (way: Way, what: 'bytes' | 'cpu'): number => median(figures[way][what]);
    rows[scenario.name] = {
      'bytes off': of('off', 'bytes').toFixed(1),
      'bytes auto': of('auto', 'bytes').toFixed(1),
      'µs off': of('off', 'cpu').toFixed(2),
      'µs auto': of('auto', 'cpu').toFixed(2),
      'bytes ratio': (of('auto', 'bytes') / of('off', 'bytes')).toFixed(2),
      'CPU ratio': (of('auto', 'cpu') / of('off', 'cpu')).toFixed(2),
    };
  }
  console.table(rows);
  server.stdin.end();
}

if (process.argv[2] === 'server') {
  const server = createServer({ noDelay: true }, serve).listen(0, '127.0.0.1', () => {
    console.log((server.address() as AddressInfo).port);
  });
  process.stdin.on('end', () => process.exit()).resume();
} else await main(Number(process.argv[2] ?? 50_000));
