import { Client, ConnectError } from '../../lib/index.ts';
import { utf8 } from '../support/packets.ts';
import { atEnd } from '../support/endings.ts';
import { type Address, PacketClient } from './packet-client.ts';

/*
 * What a broker does, measured with packets. Each function returns a few words, which docs/brokers.md has.
 */

let count = 0;
/** A level of Topic Names that no other measure has. */
const fresh = (): string => `m${++count}`;

const hex = (reasonCode: number): string => `0x${reasonCode.toString(16).padStart(2, '0')}`;
const text = (payload: Uint8Array): string => Buffer.from(payload).toString();

/** CONNECT with a protocol version, as the error of this client tells it. */
async function version({ port, ...options }: Address, protocolVersion: 3 | 4 | 5): Promise<string> {
  const { username, password } = options;
  const credentials = username === undefined ? {} : { username, password };
  const client = new Client(`mqtt://127.0.0.1:${port}`, { ...credentials, protocolVersion });
  atEnd(() => client.disconnect());
  client.closed.catch(() => {});
  try {
    await client.connect();
    return 'yes';
  } catch (error) {
    if (!(error instanceof ConnectError) || error.phase !== 'connack') throw error;
    return error.reasonCode === undefined ? 'closes without CONNACK' : `refused, ${hex(error.reasonCode)}`;
  }
}

async function grantedQoS(address: Address): Promise<string> {
  const client = await PacketClient.accepted(address);
  return `${(await client.subscribe({ [fresh()]: 2 }))?.join()}`;
}

async function qos2(address: Address): Promise<string> {
  const client = await PacketClient.accepted(address);
  const packetId = client.publish(fresh(), 'x', 2);
  const answer = await client.next('pubrec', 'puback');
  if (answer === undefined) return 'closes the connection';
  if (answer.type === 'puback') return 'answers PUBACK';
  client.send({ type: 'pubrel', packetId, reasonCode: 0, properties: {} });
  return (await client.next('pubcomp')) === undefined ? 'closes the connection' : 'yes';
}

async function retained(address: Address): Promise<string> {
  const topic = fresh();
  const source = await PacketClient.accepted(address);
  await source.published(`${topic}/a`, 'kept', true);
  const [exact, wildcard] = [await PacketClient.accepted(address), await PacketClient.accepted(address)];
  await exact.subscribe({ [`${topic}/a`]: 1 });
  const [copy] = await exact.received(1);
  if (copy?.retain !== true || text(copy.payload) !== 'kept') return 'no';
  await wildcard.subscribe({ [`${topic}/+`]: 1 });
  await source.published(`${topic}/b`, 'live');
  const [first] = await wildcard.received(1);
  await source.published(`${topic}/a`, '', true);
  return text((first as typeof copy).payload) === 'kept' ? 'yes' : 'not for wildcards';
}

async function sharedSubscriptions(address: Address): Promise<string> {
  const topic = fresh();
  const [one, other, source] = [
    await PacketClient.accepted(address),
    await PacketClient.accepted(address),
    await PacketClient.accepted(address),
  ];
  const granted = await one.subscribe({ [`$share/g/${topic}`]: 1 });
  if (granted === undefined) {
    const reason = (await one.next('disconnect'))?.reasonCode;
    return reason === undefined ? 'closes the connection' : `closes the connection, ${hex(reason)}`;
  }
  await other.subscribe({ [`$share/g/${topic}`]: 1, [`${topic}/end`]: 1 });
  for (let i = 0; i < 10; i++) await source.published(topic, `${i}`);
  await source.published(`${topic}/end`, 'end');
  await other.until(() => other.messages.some(({ payload }) => text(payload) === 'end'));
  const shares = [(await one.received(0)).length, other.messages.length - 1];
  if (shares.every((share) => share === 0)) return 'accepted, but no messages';
  return shares.every((share) => share > 0) && (shares[0] as number) + (shares[1] as number) === 10
    ? 'yes'
    : `uneven: ${shares.join()}`;
}

/** How many messages come before the first one is acknowledged. */
async function window(address: Address, receiveMaximum?: number): Promise<string> {
  const sent = 1_100;
  const topic = fresh();
  const properties = receiveMaximum === undefined ? {} : { receiveMaximum };
  const reader = await PacketClient.accepted(address, { properties });
  reader.answers = false;
  await reader.subscribe({ [topic]: 1 });
  const source = await PacketClient.accepted(address);
  for (let i = 0; i < sent; i++) source.publish(topic, `${i}`);
  for (let i = 0; i < sent; i++) await source.next('puback');
  await source.ping();
  const first = (await reader.received(1)).length;
  // Some brokers pass messages on after they have acknowledged them.
  let last = first;
  for (let i = 0; i < 5; i++) {
    await source.published(`${topic}/later`, 'x');
    last = (await reader.received(last)).length;
  }
  return last === sent ? 'no limit' : `${last}`;
}

/**
 * Messages 0 to 3 arrive (as many as the broker sends at once), 0 is acknowledged, the connection is cut, 4 to 7 are
 * published, the session is resumed. D = DUP 1.
 */
async function resume(address: Address): Promise<string> {
  const topic = fresh();
  const clientId = `resumes${topic}`;
  const session = {
    clientId,
    cleanStart: false,
    properties: address.version === 5 ? { sessionExpiryInterval: 60 } : {},
  };
  const source = await PacketClient.accepted(address);
  await source.subscribe({ [`${topic}/will`]: 1 });
  const will = {
    topic: `${topic}/will`,
    payload: utf8('gone'),
    qos: 0,
    retain: false,
    properties: {},
  } as const;
  const before = await PacketClient.accepted(address, { ...session, will });
  before.answers = false;
  await before.subscribe({ [topic]: 1 });
  for (const payload of ['0', '1', '2', '3']) await source.published(topic, payload);
  const [zero] = await before.received(1);
  before.acknowledge(zero as NonNullable<typeof zero>);
  await before.received(2);
  before.cut();
  // The Will tells that the broker has noticed.
  await source.received(1);
  for (const payload of ['4', '5', '6', '7']) await source.published(topic, payload);
  const after = await PacketClient.accepted(address, session);
  const order = (await after.received(7)).map(
    ({ payload, duplicate }) => `${text(payload)}${duplicate ? 'D' : ''}`,
  );
  await (await PacketClient.accepted(address, { clientId })).ping();
  return order.join(' ');
}

const levelsOf = ({ messages }: PacketClient, topic: string): number[] =>
  messages.filter((message) => message.topic === topic).map(({ qos }) => qos);

/** The QoS of each copy of one message for filters with QoS 0 and QoS 1. */
async function copies(address: Address): Promise<string> {
  const topic = fresh();
  const [reader, source] = [await PacketClient.accepted(address), await PacketClient.accepted(address)];
  const identifiers = address.version === 5 ? [1, 2] : [];
  await reader.subscribe({ [`${topic}/#`]: 0 }, identifiers[0]);
  await reader.subscribe({ [`${topic}/+`]: 1 }, identifiers[1]);
  await source.published(`${topic}/x`, 'x');
  // What follows it comes after all its copies, in both levels of QoS.
  await source.published(`${topic}/y`, 'y');
  const ys = (): number[] => levelsOf(reader, `${topic}/y`);
  await reader.until(() => ys().length >= 1);
  await reader.ping();
  const isComplete = (): boolean => levelsOf(reader, `${topic}/x`).length >= ys().length;
  await reader.until(isComplete);
  const levels = levelsOf(reader, `${topic}/x`);
  return levels.length === 1
    ? `one, QoS ${levels.join()}`
    : `${levels.length}, QoS ${levels.toSorted((a, b) => a - b).join(' and ')}`;
}

/** Whether `#` matches Topic Names that begin with `$`. */
async function dollar(address: Address): Promise<string> {
  const topic = fresh();
  const [reader, source] = [await PacketClient.accepted(address), await PacketClient.accepted(address)];
  await reader.subscribe({ '#': 0 });
  const reasonCode = await source.published(`$${topic}/x`, 'x');
  await source.published(`${topic}/end`, 'end');
  await reader.until(() => reader.messages.some(({ topic: one }) => one === `${topic}/end`));
  if (reasonCode !== undefined && reasonCode >= 0x80) return `refused, ${hex(reasonCode)}`;
  return reader.messages.some(({ topic: one }) => one === `$${topic}/x`) ? 'yes' : 'no';
}

/** A Topic Name with this text as second level: how it arrives. */
async function topicName(address: Address, level: string): Promise<string> {
  const topic = fresh();
  const [reader, source] = [await PacketClient.accepted(address), await PacketClient.accepted(address)];
  await reader.subscribe({ [`${topic}/#`]: 1 });
  if ((await source.published(`${topic}/${level}`, 'x')) === undefined) return 'closes the connection';
  const [message] = await reader.received(1);
  if (message === undefined) return 'arrives invalid';
  return message.topic === `${topic}/${level}`
    ? 'yes'
    : `arrives as \`a${message.topic.slice(topic.length)}\``;
}

/** A message that is larger than the reader allows. */
async function maximumPacketSize(address: Address): Promise<string> {
  const topic = fresh();
  const reader = await PacketClient.accepted(address, { properties: { maximumPacketSize: 200 } });
  const source = await PacketClient.accepted(address);
  await reader.subscribe({ [topic]: 1 });
  await source.published(topic, 'x'.repeat(300));
  await source.published(topic, 'small');
  const [first] = await reader.received(1);
  return text((first as NonNullable<typeof first>).payload) === 'small' ? 'yes' : 'no';
}

async function takenOver(address: Address): Promise<string> {
  const clientId = `twice${fresh()}`;
  const first = await PacketClient.accepted(address, { clientId });
  await PacketClient.accepted(address, { clientId });
  await first.until(() => first.hasEnded);
  const reason = (await first.next('disconnect'))?.reasonCode;
  return reason === undefined ? 'closes the connection' : `DISCONNECT ${hex(reason)}`;
}

async function nobody(address: Address): Promise<string> {
  return hex((await (await PacketClient.accepted(address)).published(fresh(), 'x')) as number);
}

async function announced(address: Address, name: 'topicAliasMaximum' | 'receiveMaximum'): Promise<string> {
  const connack = await new PacketClient(address).connect();
  return `${connack?.properties[name] ?? 'none'}`;
}

async function subscriptionIdentifiers(address: Address): Promise<string> {
  const topic = fresh();
  const [reader, source] = [await PacketClient.accepted(address), await PacketClient.accepted(address)];
  if ((await reader.subscribe({ [topic]: 1 }, 7)) === undefined) return 'closes the connection';
  await source.published(topic, 'x');
  const [message] = await reader.received(1);
  return message?.properties.subscriptionIdentifiers?.join() === '7' ? 'yes' : 'no';
}

/** A measure, by the name of its fact. */
export const MEASURES = {
  'version 3.1': (address: Address) => version(address, 3),
  'version 3.1.1': (address: Address) => version(address, 4),
  'version 5.0': (address: Address) => version(address, 5),
  'granted QoS': grantedQoS,
  'QoS 2': qos2,
  retained,
  window: (address: Address) => window(address),
  'Receive Maximum': (address: Address) => window(address, 10),
  resume,
  copies,
  'shared subscriptions': sharedSubscriptions,
  'Subscription Identifiers': subscriptionIdentifiers,
  'Topic Alias Maximum': (address: Address) => announced(address, 'topicAliasMaximum'),
  'announced Receive Maximum': (address: Address) => announced(address, 'receiveMaximum'),
  'Maximum Packet Size': maximumPacketSize,
  dollar,
  space: (address: Address) => topicName(address, 'b c'),
  dot: (address: Address) => topicName(address, 'b.c'),
  asterisk: (address: Address) => topicName(address, '*'),
  'taken over': takenOver,
  nobody,
} as const;
export type Measure = keyof typeof MEASURES;
