/**
 * mutants COUNT SEED VERSION…: for each protocol version, connects COUNT times to a server that sends garbage after CONNACK:
 * mutated packets or random bytes in turn. Prints a line for each version: how the connections ended, and the growth of
 * memory since the first tenth.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { encode, type EncodablePacket } from '../../../lib/codec/codec.ts';
import type { ProtocolVersion } from '../../../lib/codec/packets.ts';
import { Client } from '../../../lib/index.ts';
import { seeded } from '../random.ts';
import { memoryInUse } from '../../support/garbage.ts';

const [count, seed, ...versions] = process.argv.slice(2).map(Number) as [
  number,
  number,
  ...ProtocolVersion[],
];
let random = seeded(seed);
const below = (limit: number): number => Math.floor(random() * limit);

const payload = new TextEncoder().encode('x'.repeat(300));
const PACKETS: readonly EncodablePacket[] = [
  { type: 'publish', topic: 'a/b', payload },
  { type: 'publish', topic: 'a/b', payload, qos: 1, packetId: 1 },
  { type: 'publish', topic: 'a/ü', payload, qos: 2, packetId: 2, retain: true },
  { type: 'pubrel', packetId: 2 },
  { type: 'puback', packetId: 1 },
  { type: 'pubrec', packetId: 2 },
  { type: 'pubcomp', packetId: 2 },
  { type: 'suback', packetId: 3, reasonCodes: [0, 1] },
  { type: 'pingresp' },
];
const PACKETS_5: readonly EncodablePacket[] = [
  ...PACKETS,
  { type: 'publish', topic: 'a/b', payload, properties: { userProperties: [['a', 'b']], topicAlias: 1 } },
  { type: 'disconnect', reasonCode: 0x8b, properties: { reasonString: 'because' } },
];

/** Valid packets with a few mutations. */
function mutant(version: ProtocolVersion): Uint8Array {
  const packets = version === 5 ? PACKETS_5 : PACKETS;
  const encoded = Array.from({ length: 1 + below(8) }, () =>
    encode(packets[below(packets.length)]!, version),
  );
  const bytes = encoded.flatMap((packet) => [...packet]);
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(bytes.length);
    switch (below(5)) {
      case 0:
        bytes[at] = below(256);
        break;
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
        break;
      case 2:
        bytes.splice(at, 1 + below(4));
        break;
      case 3:
        bytes.splice(at, 0, ...Array.from({ length: 1 + below(4) }, () => below(256)));
        break;
      default:
        bytes.splice(at, below(bytes.length), ...bytes.slice(below(bytes.length)));
    }
  }
  return new Uint8Array(bytes);
}

/** Random bytes, some after a plausible first byte and Remaining Length, so that they are decoded. */
function noise(): Uint8Array {
  const bytes = Uint8Array.from({ length: 1 + below(200) }, () => below(256));
  if (random() < 0.3) return bytes;
  const length = below(bytes.length + 20);
  const types = [0x30, 0x32, 0x34, 0x3d, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xe0, 0xf0];
  const size = length < 128 ? [length] : [0x80 | (length & 0x7f), length >> 7];
  return Uint8Array.from([types[below(types.length)]!, ...size, ...bytes]);
}

/** A server of garbage. */
async function garbage(version: ProtocolVersion): Promise<Server> {
  let streams = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    // Further packets of the client are ignored.
    socket.once('data', () => {
      socket.write(encode({ type: 'connack' }, version));
      socket.end(streams++ % 2 === 0 ? mutant(version) : noise());
      socket.resume();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Name and code of the error that ended one connection. */
async function suffer(url: string, version: ProtocolVersion): Promise<string> {
  const client = new Client(url, { protocolVersion: version, reconnect: false, keepAlive: 0 });
  // CONNACK and the garbage may come together, and then the connection ends at once.
  await client.connect();
  const calls = [
    client.publish('a', 'b', { qos: 1 }),
    client.publish('a', 'b', { qos: 2 }),
    client.subscribe('a/#'),
  ];
  const settled = Promise.allSettled(calls);
  const ended = await client.closed.then(
    () => 'nothing',
    ({ name, code }: { name: string; code: string }) => `${name} ${code}`,
  );
  await settled;
  return ended;
}

/** Concurrent connections. */
const TOGETHER = 8;

for (const version of versions) {
  random = seeded(seed);
  const server = await garbage(version);
  const url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const endings: Record<string, number> = {};
  /** Runs a number of connections. */
  const sufferAll = async (connections: number): Promise<void> => {
    let begun = 0;
    const one = async (): Promise<void> => {
      while (begun++ < connections) {
        const ending = await suffer(url, version);
        endings[ending] = (endings[ending] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, one));
  };
  const first = Math.floor(count / 10);
  await sufferAll(first);
  const before = await memoryInUse();
  await sufferAll(count - first);
  const growth = (await memoryInUse()) - before;
  server.close();
  console.log(JSON.stringify({ version, endings, growth }));
}
