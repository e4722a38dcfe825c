/**
 * Compares the codec with mqtt-packet, in one process, interleaved by mitata. Read the ratios: see README.md.
 *
 * mqtt-packet is used in its fastest reasonable way: one `parser()` that gets whole packets, `generate()` for one
 * buffer per packet, and `writeToStream()`, which its users call with a socket, into a stream that counts bytes.
 */

import mqttPacket from 'mqtt-packet';
import { bench, do_not_optimize, group, run } from 'mitata';
import { AckReader, writeAck } from '../../lib/codec/acks.ts';
import { Decoder, encode, type EncodablePacket, type ProtocolVersion } from '../../lib/codec/codec.ts';
import { Framer } from '../../lib/codec/framer.ts';
import { PublishReader } from '../../lib/codec/publish-reader.ts';
import { PublishWriter, type OutgoingPublish } from '../../lib/codec/publish-writer.ts';

const { generate, parser, writeToStream } = mqttPacket;

const payload = new Uint8Array(64).fill(0x61);
const theirPayload = Buffer.from(payload);
const topic = 'site/7/line/3/sensor/temperature';
const userProperties = [['unit', 'celsius']] as const;
const correlationData = new Uint8Array([1, 2, 3, 4]);

interface Scenario {
  readonly name: string;
  readonly version: ProtocolVersion;
  readonly packet: EncodablePacket;
  readonly theirs: mqttPacket.Packet;
}

const theirPublish = { cmd: 'publish', topic, payload: theirPayload, retain: false, dup: false } as const;

const scenarios: readonly Scenario[] = [
  {
    name: '3.1.1 QoS 0, 64 B',
    version: 4,
    packet: { type: 'publish', topic, payload },
    theirs: { ...theirPublish, qos: 0 },
  },
  {
    name: '3.1.1 QoS 1, 64 B',
    version: 4,
    packet: { type: 'publish', topic, payload, qos: 1, packetId: 4711 },
    theirs: { ...theirPublish, qos: 1, messageId: 4711 },
  },
  {
    name: '5.0 QoS 0, no properties',
    version: 5,
    packet: { type: 'publish', topic, payload },
    theirs: { ...theirPublish, qos: 0 },
  },
  {
    name: '5.0 QoS 1, 3 properties',
    version: 5,
    packet: {
      type: 'publish',
      topic,
      payload,
      qos: 1,
      packetId: 4711,
      properties: { messageExpiryInterval: 60, correlationData, userProperties },
    },
    theirs: {
      ...theirPublish,
      qos: 1,
      messageId: 4711,
      properties: {
        messageExpiryInterval: 60,
        correlationData: Buffer.from(correlationData),
        userProperties: { unit: 'celsius' },
      },
    },
  },
  {
    name: '3.1.1 PUBACK',
    version: 4,
    packet: { type: 'puback', packetId: 4711 },
    theirs: { cmd: 'puback', messageId: 4711 },
  },
  {
    name: '5.0 SUBACK',
    version: 5,
    packet: { type: 'suback', packetId: 4711, reasonCodes: [0, 1, 2] },
    theirs: { cmd: 'suback', messageId: 4711, granted: [0, 1, 2] },
  },
];

/** The part of a stream that `writeToStream` uses. Counts bytes and discards them. */
class Counter {
  bytes = 0;
  cork(): void {}
  uncork(): void {}
  write(chunk: string | Uint8Array): boolean {
    this.bytes += chunk.length;
    return true;
  }
}

/** Packets per chunk, as in one read of a busy socket. */
const PER_CHUNK = 64;

/** Runs only scenarios with this text in their name; empty: all. */
const only = process.argv.slice(2).find((argument) => !argument.startsWith('--')) ?? '';

// Compare figures only within one group.
for (const { name, version, packet, theirs } of scenarios.filter((scenario) =>
  scenario.name.includes(only),
)) {
  group(`encode ${name}`, () => {
    const options = { protocolVersion: version };
    const counter = new Counter();
    bench('mqtt-packet generate', () => do_not_optimize(generate(theirs, options)));
    bench('mqtt-packet writeToStream', () => {
      writeToStream(theirs, counter as unknown as NodeJS.WritableStream, options);
    });
    bench('encode', () => do_not_optimize(encode(packet, version)));
    hotEncode(packet, version);
  });
  group(`decode ${name}`, () => {
    const bytes = encode(packet, version);
    const chunk = new Uint8Array(bytes.length * PER_CHUNK);
    for (let i = 0; i < PER_CHUNK; i++) chunk.set(bytes, i * bytes.length);
    const theirChunk = Buffer.from(chunk);
    const theirParser = parser({ protocolVersion: version });
    let parsed = 0;
    theirParser.on('packet', () => parsed++);
    bench('mqtt-packet parser', () => {
      theirParser.parse(theirChunk);
    });
    const decoder = new Decoder({ protocolVersion: version });
    bench('Decoder', () => {
      decoder.push(chunk);
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) do_not_optimize(next);
    });
    hotDecode(packet, version, chunk);
  });
}

/** The code that the client runs per outgoing packet: it writes into an existing buffer. */
function hotEncode(packet: EncodablePacket, version: ProtocolVersion): void {
  const target = new Uint8Array(64 * 1024);
  let at = 0;
  if (packet.type === 'publish') {
    const writer = new PublishWriter();
    const { properties, qos = 0 } = packet;
    const message: OutgoingPublish = { topicName: topic, payload, qos, retain: false, properties };
    bench('hot path', () => {
      const size = writer.measure(message, topic, version);
      if (at + size > target.length) at = 0;
      at = writer.write(target, at, message, 4711, false);
    });
  } else if (packet.type === 'puback') {
    bench('hot path', () => {
      at = writeAck(target, at > 60_000 ? 0 : at, 0x40, 4711);
    });
  }
}

/** The code that the client runs per incoming packet, up to the view of the payload. */
function hotDecode(packet: EncodablePacket, version: ProtocolVersion, chunk: Uint8Array): void {
  const framer = new Framer({ protocolVersion: version });
  if (packet.type === 'publish') {
    const reader = new PublishReader();
    bench('hot path', () => {
      framer.push(chunk);
      while (framer.next()) {
        reader.read(framer.bytes, framer.header, framer.start, framer.end, version);
        framer.retain();
        do_not_optimize(reader.payload());
      }
    });
  } else if (packet.type === 'puback') {
    const reader = new AckReader();
    bench('hot path', () => {
      framer.push(chunk);
      while (framer.next()) {
        reader.read(framer.bytes, framer.header, framer.start, framer.end, version);
        do_not_optimize(reader.packetId);
      }
    });
  }
}

interface Figure {
  readonly nanoseconds: number;
  readonly bytes: number | undefined;
}

/** The result of mitata, which its types do not describe. */
interface Report {
  readonly layout: readonly { readonly name: string | null }[];
  readonly benchmarks: readonly {
    readonly group: number;
    readonly runs: readonly {
      readonly name: string;
      readonly stats?: { readonly p25: number; readonly heap?: { readonly avg: number } };
    }[];
  }[];
}

const { layout, benchmarks } = (await run({
  format: process.argv.includes('--verbose') ? 'mitata' : 'quiet',
})) as unknown as Report;

/** Figures per packet, by name of the group and of the bench. */
const groups = new Map<string, Map<string, Figure>>();
for (const { group: index, runs } of benchmarks) {
  const title = layout[index]?.name ?? '';
  const packets = title.startsWith('decode') ? PER_CHUNK : 1;
  const figures = groups.get(title) ?? new Map<string, Figure>();
  groups.set(title, figures);
  for (const { name, stats } of runs) {
    if (stats === undefined) continue;
    const bytes = stats.heap === undefined ? undefined : stats.heap.avg / packets;
    figures.set(name, { nanoseconds: stats.p25 / packets, bytes });
  }
}

function text(figure: Figure | undefined): string {
  if (figure === undefined) return '-';
  const allocated = figure.bytes === undefined ? '' : `, ${figure.bytes.toFixed(0)} B`;
  return `${figure.nanoseconds.toFixed(1)} ns${allocated}`;
}

function times(theirs: Figure | undefined, ours: Figure | undefined): string {
  if (theirs === undefined || ours === undefined) return '-';
  return `${(theirs.nanoseconds / ours.nanoseconds).toFixed(1)}x`;
}

console.log(
  'Per packet: time (first quartile, as other load on the machine affects it least) and bytes allocated on the heap; ratio: how many times faster than mqtt-packet.',
);
console.log('encode() is compared with generate(), the hot path with writeToStream().');
console.table(
  Object.fromEntries(
    [...groups].map(([title, figures]) => {
      const generated = figures.get('mqtt-packet generate') ?? figures.get('mqtt-packet parser');
      const streamed = figures.get('mqtt-packet writeToStream') ?? generated;
      const ours = figures.get('encode') ?? figures.get('Decoder');
      const hot = figures.get('hot path');
      const row = {
        'mqtt-packet': text(generated),
        'public API': text(ours),
        ratio: times(generated, ours),
        'mqtt-packet stream': text(figures.get('mqtt-packet writeToStream')),
        'hot path': text(hot),
        'hot ratio': times(streamed, hot),
      };
      return [title, row];
    }),
  ),
);
