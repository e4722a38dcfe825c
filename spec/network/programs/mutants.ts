/**
 * mutants VERSION COUNT SEED: connects to servers that go mad after CONNACK, one stream of broken packets after the other,
 * and says how each connection ended, how much memory was in use half-way and at the end, and what was left behind.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { encode, type EncodablePacket } from '../../../lib/codec/codec.ts';
import type { ProtocolVersion } from '../../../lib/codec/packets.ts';
import { Client } from '../../../lib/index.ts';
import { seeded } from '../random.ts';

const [version, count, seed] = process.argv.slice(2).map(Number) as [ProtocolVersion, number, number];
const random = seeded(seed);
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
  ...(version === 5
    ? ([
        {
          type: 'publish',
          topic: 'a/b',
          payload,
          properties: { userProperties: [['a', 'b']], topicAlias: 1 },
        },
        { type: 'disconnect', reasonCode: 0x8b, properties: { reasonString: 'because' } },
      ] satisfies EncodablePacket[])
    : []),
];

/** A stream of legal packets, broken in a few places. */
function mutant(): Uint8Array {
  const packets = Array.from({ length: 1 + below(8) }, () =>
    encode(PACKETS[below(PACKETS.length)]!, version),
  );
  const bytes = packets.flatMap((packet) => [...packet]);
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

const server = createServer((socket) => {
  socket.on('error', () => {});
  // Whatever else the client says is not listened to.
  socket.once('data', () => {
    socket.write(encode({ type: 'connack' }, version));
    socket.end(mutant());
    socket.resume();
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** One connection to its end: the name and code of the error that ended it. */
async function suffer(): Promise<string> {
  const client = new Client(url, { protocolVersion: version, reconnect: false, keepAlive: 0 });
  // CONNACK and what follows may come together: then the connection is gone before anybody could say it was there.
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

/** Bytes in use once everything that can go has gone. */
async function used(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await turn();
    globalThis.gc?.();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const endings: Record<string, number> = {};
let halfWay = 0;
for (let i = 0; i < count; i++) {
  if (i === count / 2) halfWay = await used();
  const ending = await suffer();
  endings[ending] = (endings[ending] ?? 0) + 1;
}
server.close();
console.log(JSON.stringify({ endings, growth: (await used()) - halfWay }));
