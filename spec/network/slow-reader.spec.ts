import { describe, expect, it } from '@jest/globals';
import { Decoder, encode, type EncodablePacket } from '../../lib/codec/codec.ts';
import type { ClientOptions, Payload, PublishOptions, QoS } from '../../lib/index.ts';
import { certificates } from '../support/certificates.ts';
import { listening } from '../support/endings.ts';
import { describeWithMosquitto, describeWithSecureMosquitto } from '../support/programs.ts';
import { actor, aedes, endActors, inTime, mosquitto } from './actors.ts';
import { type Ended, startProgram } from './children.ts';
import { serversOfEachTransport } from './transport-table.ts';
import type { Observed, Plan, Report } from './programs/slow-reader.ts';

/*
 * Readers in another process that start slowly while a server has many more messages for them than they have room for.
 * Their clients promise: no message is lost, repeated or reordered, the connection stays, and memory is bounded.
 */

endActors();

const LONG = 60_000;
/** Maximum ms for a reader. */
const PATIENCE = 45_000;
const MIB = 1_048_576;
const KIB = 'x'.repeat(1_024 - 12);

/** 60,000 bytes. */
const PAIRS = Array.from({ length: 12_000 }, () => ['', ''] as const);

type Publish = Extract<EncodablePacket, { type: 'publish' }>;

/** Maximum growth of memory in MiB. */
const MOST = 20;
/** With this few messages of a row the client stops reading. */
const ROOM = { receiveMaximum: 64 } as const;
const V5 = { protocolVersion: 5, ...ROOM } as const;
const KEPT = { ...V5, cleanStart: false, clientId: 'slow-reader', sessionExpiryInterval: 600 } as const;

/** One reader, and its messages. */
interface Row extends Partial<Omit<Plan, 'url' | 'topicFilter'>> {
  readonly over?: string;
  /** The message of this number. Its topic begins with `row`. @default 1 KiB in one of three topics */
  readonly message?: (n: number, row: string) => readonly [topic: string, payload: Payload, PublishOptions?];
}

const plain: NonNullable<Row['message']> = (n, row) => [`${row}/${n % 3}`, `${n}`.padEnd(12) + KIB];

/** Defaults of a row. */
const PLAN = {
  options: {},
  qos: 1,
  reading: 'loop',
  count: 400,
  warmUp: 40,
  pace: 5,
  slowFor: 300,
  slowTurns: Number.MAX_SAFE_INTEGER,
  publishEvery: 0,
} as const satisfies Partial<Plan>;

/** Actual and expected outcome of readers. */
interface Outcome {
  readonly outcome: unknown;
  readonly expected: unknown;
}

/** The expected observations of a reader. */
const well = ({ count, publishEvery }: Plan): Observed => ({
  received: count,
  lost: 0,
  twice: 0,
  outOfOrder: 0,
  dropped: 0,
  events: {},
  published: publishEvery === 0 ? 0 : Math.floor(count / publishEvery),
  unpublished: [],
});

/** The outcome of the readers in one process. It contains the growth of memory only if that is too high. */
function outcomeOf({ code, lines, complaint }: Ended, plans: readonly Plan[]): Outcome {
  const expected = { readers: plans.map(well), grows: `by less than ${MOST} MiB` };
  if (code !== 0 || complaint !== '') return { outcome: { code, complaint }, expected };
  const { growth, readers } = JSON.parse(lines.at(-1) ?? '') as Report;
  return {
    outcome: { readers, grows: growth < MOST * MIB ? expected.grows : `by ${growth} bytes` },
    expected,
  };
}

/** Runs readers at the same time in one process, and publishes for all of them. */
async function run(
  url: string,
  rows: readonly Row[],
  publisher: ClientOptions = { maxInflight: 1_000 },
): Promise<Outcome> {
  const { client } = await actor(url, { messageRetry: 0, ...publisher });
  const readers = rows.map(({ over, message = plain, ...more }, i) => {
    const row = `row/${i}`;
    const plan: Plan = { ...PLAN, url: over ?? url, topicFilter: `${row}/#`, ...more };
    return { row, plan, message };
  });
  const plans = readers.map(({ plan }) => plan);
  const child = startProgram('slow-reader', ...plans.map((plan) => JSON.stringify(plan)));
  await child.printed('ready');
  const publishing = Promise.all(
    readers.map(async ({ row, plan, message }) => {
      await Promise.all(
        Array.from({ length: plan.count }, (_, n) => {
          const [topic, payload, options] = message(n, row);
          return client.publish(topic, payload, { qos: plan.qos, ...options });
        }),
      );
    }),
  );
  const running = publishing.then(() => {
    child.tell('published');
    return child.ended;
  });
  return outcomeOf(await inTime(running, PATIENCE, () => JSON.stringify(client.stats())), plans);
}

describeWithMosquitto('a reader that is slow at first loses nothing', () => {
  it(
    'in a clean session, with a small window, in a persistent session, on 5.0 and on 3.1.1, with each way of reading, and with empty payloads',
    async () => {
      const { url } = await mosquitto();
      const { outcome, expected } = await run(url, [
        { options: V5 },
        { options: { ...V5, receiveMaximum: 16 } },
        { options: KEPT },
        {},
        { reading: 'batches' },
        { reading: 'forEach', options: V5, pace: 20 },
        { reading: 'manual' },
        { message: (n, row) => [`${row}/${n}`, null] },
      ]);
      expect(outcome).toEqual(expected);
    },
    LONG,
  );

  it(
    'if its loop awaits its own publishes, and with QoS 2',
    async () => {
      const { url } = await mosquitto();
      // Mosquitto closes a connection with more than 20 messages of QoS 2 in flight.
      const { outcome, expected } = await run(
        url,
        [
          { publishEvery: 10 },
          { options: V5, publishEvery: 10 },
          { qos: 2, count: 300 },
          { qos: 2, options: V5, count: 300, publishEvery: 10 },
        ],
        { maxInflight: 20 },
      );
      expect(outcome).toEqual(expected);
    },
    LONG,
  );

  it(
    'with messages of 1 MiB, and if one message takes longer than three times Keep Alive',
    async () => {
      const { url } = await mosquitto();
      const large = 'x'.repeat(MIB - 12);
      const busy = { count: 100, warmUp: 10, pace: 3_300, slowTurns: 1 };
      const full = { keepAlive: 1, receiveMaximum: 32 };
      const few = { count: 40, warmUp: 4, pace: 100 };
      const { outcome, expected } = await run(url, [
        {
          ...few,
          options: { ...V5, receiveBuffer: 4 * MIB },
          message: (n, row) => [row, `${n}`.padEnd(12) + large],
        },
        // The other messages wait meanwhile.
        { options: full, ...busy },
        { options: { ...V5, ...full }, ...busy },
      ]);
      expect(outcome).toEqual(expected);
    },
    LONG,
  );
});

describeWithSecureMosquitto('a reader that is slow at first loses nothing', () => {
  const servers = serversOfEachTransport(certificates());

  it(
    'over TLS and over WebSocket',
    async () => {
      const { broker, ports, options } = servers();
      const { outcome, expected } = await run(broker.url, [
        { over: `mqtts://localhost:${ports.mqtts}`, options: { ...V5, ...options } },
        { over: `ws://localhost:${ports.ws}` },
      ]);
      expect(outcome).toEqual(expected);
    },
    LONG,
  );
});

describe('with Aedes: a reader that is slow at first loses nothing', () => {
  it(
    'in a clean and in a persistent session',
    async () => {
      const { url } = await aedes();
      const { outcome, expected } = await run(url, [
        { options: ROOM },
        { options: { ...ROOM, cleanStart: false, clientId: 'slow-reader' } },
      ]);
      expect(outcome).toEqual(expected);
    },
    LONG,
  );
});

/** A server that grants one subscription and then sends all of `messages` at once, whatever the client sends. */
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

/** The actual and expected outcome of a reader of each such server, all in one process. */
async function flooded(
  floods: readonly (readonly [version: 4 | 5, messages: readonly Publish[]])[],
  more: Partial<Plan>,
): Promise<Outcome> {
  const plans = await Promise.all(
    floods.map(async ([version, messages]): Promise<Plan> => {
      const qos = messages[0]?.qos ?? 0;
      const url = await flooding(version, qos, messages);
      const options = { protocolVersion: version };
      return { ...PLAN, url, topicFilter: 'r/#', options, qos, count: messages.length, ...more };
    }),
  );
  const child = startProgram('slow-reader', ...plans.map((plan) => JSON.stringify(plan)));
  await child.printed('ready');
  child.tell('published');
  return outcomeOf(await child.ended, plans);
}

describe('a server that sends everything at once', () => {
  it(
    'delivers all of 50,000 tiny messages of QoS 0 to a quick loop',
    async () => {
      const { outcome, expected } = await flooded([[4, numbered(50_000, {})]], { slowTurns: 0 });
      expect(outcome).toEqual(expected);
    },
    LONG,
  );

  it(
    'loses nothing to a slow reader and costs it little memory: 100 messages without payload but with User Properties of 60 kB (5.0), or with topics of 65 kB (3.1.1)',
    async () => {
      const properties = { userProperties: PAIRS };
      const { outcome, expected } = await flooded(
        [
          [5, numbered(100, { qos: 1, properties })],
          [4, numbered(100, { qos: 1 }, `/${'x'.repeat(65_000)}`)],
        ],
        { warmUp: 30 },
      );
      expect(outcome).toEqual(expected);
    },
    LONG,
  );
});
