/** docs/codec.md: encoding and decoding packets; a probe that requests CONNACK from a broker. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { Decoder, encode, ProtocolError, reasonCodeName } from '../../lib/codec/codec.ts';
import { startBroker } from './broker.ts';

// Encode a packet, then decode it byte by byte.
const bytes = encode(
  { type: 'publish', topic: 'a/b', payload: new TextEncoder().encode('hi'), qos: 1, packetId: 7 },
  5,
);
console.log(Buffer.from(bytes).toString('hex'));
const decoder = new Decoder({ protocolVersion: 5, receiver: 'server' });
for (const byte of bytes) {
  decoder.push(Uint8Array.of(byte));
  const packet = decoder.next();
  if (packet?.type === 'publish')
    console.log(packet.topic, packet.qos, packet.packetId, packet.payload.length);
}

// The decoder is strict: a PUBLISH with both QoS bits set is an error.
try {
  const strict = new Decoder({ protocolVersion: 5 });
  strict.push(Uint8Array.of(0x36, 0x00));
  strict.next();
} catch (error) {
  if (!(error instanceof ProtocolError)) throw error;
  console.log(error.statement, reasonCodeName(error.reasonCode));
}

// A probe that needs no client.
await using broker = await startBroker();
const { hostname, port } = new URL(broker.url);
const socket = connect(Number(port), hostname);
await once(socket, 'connect');
socket.write(encode({ type: 'connect', clientId: 'probe', cleanStart: true, keepAlive: 0 }, 4));
const answers = new Decoder({ protocolVersion: 4 });
for await (const chunk of socket as AsyncIterable<Buffer>) {
  answers.push(chunk);
  const packet = answers.next();
  if (packet === undefined) continue;
  console.log(packet.type, packet.type === 'connack' ? packet.reasonCode : '');
  socket.end(encode({ type: 'disconnect' }, 4));
}
