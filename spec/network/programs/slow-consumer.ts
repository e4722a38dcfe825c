/**
 * slow-consumer URL QOS PERSISTENT COUNT ROOM RING: buffers at most ROOM messages, or RING of QoS 0. Reads COUNT messages
 * from `warm-up`, prints `warm`, then reads `backlog` at 100 messages per second until a message comes from `end`. Prints
 * how many it read, the maximum of unsettled and waiting messages, how many were dropped, and the growth of memory since
 * `warm`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '../../../lib/index.ts';
import type { QoS } from '../../../lib/codec/packets.ts';
import { memoryInUse } from './memory-in-use.ts';

/** ms per message. */
const PACE = 10;

const [url = '', level = '', persistent = '', count = '', room = '', ring = ''] = process.argv.slice(2);
const qos = Number(level) as QoS;
const client = await connect(url, {
  receiveMaximum: Number(room),
  ...(persistent === 'true' && { clientId: 'slow-consumer', cleanStart: false }),
});
const warmUp = await client.subscribe('warm-up', { qos });
const backlog = await client.subscribe('backlog', {
  qos,
  ...(qos === 0 && { buffer: { messages: Number(ring) } }),
});
// On another connection: messages behind the backlog would have to wait for it.
const witness = await connect(url);
const end = await witness.subscribe('end');
console.log('ready');
for (let i = 0; i < Number(count); i++) await warmUp.receive();
const before = await memoryInUse();
console.log('warm');

let over = false;
const ending = end.receive().then(() => (over = true));
let [taken, unsettled, depth] = [0, 0, 0];
let growth = 0;
for await (const _ of backlog) {
  unsettled = Math.max(unsettled, client.stats().unsettled.messages);
  depth = Math.max(depth, backlog.depth);
  taken++;
  if (taken % 100 === 0) console.log(`taken ${taken}`);
  if (over) {
    growth = (await memoryInUse()) - before;
    break;
  }
  await pause(PACE);
}
await ending;
const { overflowed } = client.stats();
const result = { taken, unsettled, depth, growth, letGo: overflowed + backlog.dropped };
await Promise.all([client.disconnect(), witness.disconnect()]);
console.log(JSON.stringify(result));
