import { describe, expect, it } from '@jest/globals';
import { Decoder, encode, type EncodablePacket } from '../../lib/codec/codec.ts';
import type { ClientOptions, Payload, PublishOptions, QoS } from '../../lib/index.ts';
import { certificates } from '../support/certificates.ts';
import { listening } from '../support/endings.ts';
import { describeWithMosquitto, describeWithSecureMosquitto } from '../support/programs.ts';
import { actor, aedes, endActors, inTime, mosquitto } from './actors.ts';
import { type Ended, startProgram } from './children.ts';
import { serversOfEachTransport } from './transport-table.ts';
import type { Plan, Report } from './programs/slow-reader.ts';

/*
 * Readers that are slow at first, each in a process of its own, while a server has thousands of messages for them. What
 * their clients promise: nothing is lost, nothing comes twice or out of order, the connection stays, and memory does too.
 */

endActors();

const LONG = 60_000;
/** ms after which a reader that has not come to its end is told of. */
const PATIENCE = 45_000;
const MIB = 1_048_576;
/** Messages that are published at once for each reader. */
const BLOCK = 500;
const KIB = 'x'.repeat(1_024 - 12);

/** 60,000 bytes. */
const PAIRS = Array.from({ length: 12_000 }, () => ['', ''] as const);

type Publish = Extract<EncodablePacket, { type: 'publish' }>;

const V5 = { protocolVersion: 5 } as const;
const KEPT = { ...V5, cleanStart: false, clientId: 'slow-reader', sessionExpiryInterval: 600 } as const;

/** One reader, and what is published for it. */
interface Row extends Partial<Omit<Plan, 'url' | 'topicFilter'>> {
  readonly over?: string;
  /** The message of this number; its topic begins with `row`. @default 1 KiB in one of three topics */
  readonly message?: (n: number, row: string) => readonly [topic: string, payload: Payload, PublishOptions?];
}

const plain: NonNullable<Row['message']> = (n, row) => [`${row}/${n % 3}`, `${n}`.padEnd(12) + KIB];

/** What a reader does where its row says nothing else. */
const PLAN = {
  options: {},
  qos: 1,
  reading: 'loop',
  count: 1_500,
  warmUp: 100,
  pace: 5,
  slowFor: 300,
  slowTurns: Number.MAX_SAFE_INTEGER,
  publishEvery: 0,
} as const satisfies Partial<Plan>;

/** What is to become of a reader. */
const well = ({ count, publishEvery }: Plan): unknown => ({
  received: count,
  lost: 0,
  twice: 0,
  outOfOrder: 0,
  dropped: 0,
  events: {},
  published: publishEvery === 0 ? 0 : Math.floor(count / publishEvery),
  unpublished: [],
  grows: 'by less than 100 MiB',
});

/** What became of one: the number of bytes only where it says something. */
function outcomeOf({ code, lines, complaint }: Ended): unknown {
  if (code !== 0 || complaint !== '') return { code, complaint };
  const { growth, ...report } = JSON.parse(lines.at(-1) ?? '') as Report;
  return { ...report, grows: growth < 100 * MIB ? 'by less than 100 MiB' : `by ${growth} bytes` };
}

/** Lets readers run at the same time, and publishes for all of them. Returns what became of each, and what should have. */
async function run(
  url: string,
  rows: Readonly<Record<string, Row>>,
  publisher: ClientOptions = { maxInflight: 1_000 },
): Promise<{ readonly outcomes: unknown; readonly expected: unknown }> {
  const { client } = await actor(url, { messageRetry: 0, ...publisher });
  const readers = Object.entries(rows).map(([name, { over, message = plain, ...more }], i) => {
    const row = `row/${i}`;
    const plan = { ...PLAN, url: over ?? url, topicFilter: `${row}/#`, ...more };
    return { name, row, plan, message, child: startProgram('slow-reader', JSON.stringify(plan)) };
  });
  const ready = Promise.all(readers.map(({ child }) => child.printed('ready')));
  const running = Promise.all(
    readers.map(async ({ row, plan, message, child }) => {
      await ready;
      for (let from = 0; from < plan.count; from += BLOCK)
        await Promise.all(
          Array.from({ length: Math.min(BLOCK, plan.count - from) }, (_, i) => {
            const [topic, payload, options] = message(from + i, row);
            return client.publish(topic, payload, { qos: plan.qos, ...options });
          }),
        );
      child.tell('published');
      return child.ended;
    }),
  );
  const ended = await inTime(running, PATIENCE, () => JSON.stringify(client.stats()));
  const named = (of: (i: number) => unknown): unknown =>
    Object.fromEntries(readers.map(({ name }, i) => [name, of(i)]));
  return {
    outcomes: named((i) => outcomeOf(ended[i]!)),
    expected: named((i) => well(readers[i]!.plan)),
  };
}

describeWithMosquitto('a reader that is slow at first loses nothing', () => {
  it(
    'in a clean session, with a small window, in one to keep, on 5.0 and on 3.1.1',
    async () => {
      const { url } = await mosquitto();
      const { outcomes, expected } = await run(url, {
        '5.0': { options: V5 },
        '5.0, receiveMaximum 32': { options: { ...V5, receiveMaximum: 32 } },
        '5.0, kept': { options: KEPT },
        '3.1.1': {},
      });
      expect(outcomes).toEqual(expected);
    },
    LONG,
  );

  it(
    'where its loop awaits publishes of its own, and with QoS 2',
    async () => {
      const { url } = await mosquitto();
      // Mosquitto closes a connection with more than 20 messages of QoS 2 in flight.
      const { outcomes, expected } = await run(
        url,
        {
          '3.1.1': { publishEvery: 10 },
          '5.0': { options: V5, publishEvery: 10 },
          'QoS 2, 3.1.1': { qos: 2, count: 1_200 },
          'QoS 2, 5.0': { qos: 2, options: V5, count: 1_200, publishEvery: 10 },
        },
        { maxInflight: 20 },
      );
      expect(outcomes).toEqual(expected);
    },
    LONG,
  );

  it(
    'whatever way it reads, and where payloads are empty',
    async () => {
      const { url } = await mosquitto();
      const { outcomes, expected } = await run(url, {
        'batches()': { reading: 'batches' },
        'forEach()': { reading: 'forEach', options: V5, pace: 20 },
        "ack: 'manual'": { reading: 'manual' },
        'no payload': { message: (n, row) => [`${row}/${n}`, null] },
      });
      expect(outcomes).toEqual(expected);
    },
    LONG,
  );

  it(
    'of messages of 1 MiB, and where it is at one message for longer than three times its Keep Alive',
    async () => {
      const { url } = await mosquitto();
      const large = 'x'.repeat(MIB - 12);
      const busy = { count: 400, warmUp: 10, pace: 3_300, slowTurns: 1 };
      const full = { keepAlive: 1, receiveMaximum: 32 };
      const few = { count: 120, warmUp: 10, pace: 50, slowTurns: 60 } as const;
      const { outcomes, expected } = await run(url, {
        '1 MiB': { ...few, message: (n, row) => [row, `${n}`.padEnd(12) + large] },
        // They wait while the other is at work.
        'busy, 3.1.1': { options: full, ...busy },
        'busy, 5.0': { options: { ...V5, ...full }, ...busy },
      });
      expect(outcomes).toEqual(expected);
    },
    LONG,
  );
});

describeWithSecureMosquitto('a reader that is slow at first loses nothing', () => {
  const made = certificates();

  it(
    'over TLS and over WebSocket',
    async () => {
      const { broker, ports, options } = await serversOfEachTransport(await made());
      const { outcomes, expected } = await run(broker.url, {
        TLS: { over: `mqtts://localhost:${ports.mqtts}`, options },
        WebSocket: { over: `ws://localhost:${ports.ws}` },
      });
      expect(outcomes).toEqual(expected);
    },
    LONG,
  );
});

describe('with Aedes: a reader that is slow at first loses nothing', () => {
  it(
    'in a clean session, and in one to keep',
    async () => {
      const { url } = await aedes();
      const { outcomes, expected } = await run(url, {
        clean: {},
        kept: { options: { cleanStart: false, clientId: 'slow-reader' } },
      });
      expect(outcomes).toEqual(expected);
    },
    LONG,
  );
});

/** A server that grants one subscription, and then sends all of `messages` as fast as they go, whatever is answered. */
async function flooding(version: 4 | 5, qos: QoS, messages: readonly Publish[]): Promise<string> {
  const flood = messages.map((message) => encode(message, version));
  const { port } = await listening((socket) => {
    const decoder = new Decoder({ protocolVersion: version, receiver: 'server' });
    const answer = (packet: EncodablePacket): void => void socket.write(encode(packet, version));
    socket.on('data', (chunk) => {
      decoder.push(chunk);
      for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) {
        if (packet.type === 'connect') answer({ type: 'connack' });
        if (packet.type === 'pingreq') answer({ type: 'pingresp' });
        if (packet.type === 'subscribe') {
          answer({ type: 'suback', packetId: packet.packetId, reasonCodes: [qos] });
          socket.write(Buffer.concat(flood));
        }
        if (packet.type === 'unsubscribe')
          answer({ type: 'unsuback', packetId: packet.packetId, ...(version === 5 && { reasonCodes: [0] }) });
        if (packet.type === 'disconnect') socket.end();
      }
    });
  });
  return `mqtt://127.0.0.1:${port}`;
}

/** Messages without payload, numbered by their topics. */
function numbered(count: number, message: Partial<Publish>, rest = ''): Publish[] {
  return Array.from({ length: count }, (_, n) => ({
    type: 'publish' as const,
    topic: `r/0/${n}${rest}`,
    payload: new Uint8Array(),
    ...message,
    ...(message.qos === 1 && { packetId: n + 1 }),
  }));
}

/** What becomes of one reader of such a server, and what should. */
async function flooded(
  version: 4 | 5,
  messages: readonly Publish[],
  more: Partial<Plan>,
): Promise<{ readonly outcome: unknown; readonly expected: unknown }> {
  const qos = messages[0]?.qos ?? 0;
  const url = await flooding(version, qos, messages);
  const options = { protocolVersion: version };
  const plan: Plan = { ...PLAN, url, topicFilter: 'r/#', options, qos, count: messages.length, ...more };
  const child = startProgram('slow-reader', JSON.stringify(plan));
  await child.printed('ready');
  child.tell('published');
  return { outcome: outcomeOf(await child.ended), expected: well(plan) };
}

describe('a server that sends all it has at once', () => {
  it(
    'has a quick loop get all of 50,000 tiny messages of QoS 0',
    async () => {
      const { outcome, expected } = await flooded(4, numbered(50_000, {}), { slowTurns: 0 });
      expect(outcome).toEqual(expected);
    },
    LONG,
  );

  it.each([
    ['User Properties of 60 kB', '5.0', 5, { properties: { userProperties: PAIRS } }, ''],
    ['topics of 65 kB', '3.1.1', 4, {}, `/${'x'.repeat(65_000)}`],
  ] as const)(
    'loses nothing to a slow reader, and costs it little memory, where 200 messages have no payload but %s (%s)',
    async (_, __, version, more, rest) => {
      const messages = numbered(200, { qos: 1, ...more }, rest);
      const { outcome, expected } = await flooded(version, messages, { warmUp: 30 });
      expect(outcome).toEqual(expected);
    },
    LONG,
  );
});
