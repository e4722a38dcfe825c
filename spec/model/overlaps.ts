import * as fc from 'fast-check';
import type { EncodablePacket, Packet, QoS } from '../../lib/codec/packets.ts';
import type { Client } from '../../lib/client/client.ts';
import type { Subscription } from '../../lib/client/receive/subscription.ts';
import { matchesFilter } from '../../lib/topic/filters.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { scriptedNetwork } from '../support/scripted-network.ts';
import type { MakeClient } from './world.ts';

/*
 * A client with subscriptions whose Topic Filters overlap, and a server that has Subscription Identifiers or not. Each
 * message is for each subscription that it matches: once if nothing changes meanwhile, at least once in any case.
 */

/** How a server delivers a message that matches several filters of a client. */
export type Style = 'one copy with all identifiers' | 'a copy per filter' | 'no identifiers';
export const STYLES: readonly Style[] = [
  'a copy per filter',
  'one copy with all identifiers',
  'no identifiers',
];

const FILTERS = ['a/#', 'a/b', '+/b', '#', 'c'] as const;
const TOPICS = ['a/b', 'a/b', 'a/c', 'c', 'd'] as const;

type Step =
  | { readonly do: 'subscribe'; readonly filters: readonly (readonly [string, QoS])[] }
  | { readonly do: 'end' | 'leave'; readonly which: number }
  | { readonly do: 'publish'; readonly topic: string; readonly qos: QoS }
  | { readonly do: 'serve' | 'serve one' | 'hold' | 'release' | 'resume' | 'forget' };

const filter = fc.tuple(fc.constantFrom(...FILTERS), fc.constantFrom<QoS>(0, 1, 2));
const publish = fc.record({
  do: fc.constant('publish' as const),
  topic: fc.constantFrom(...TOPICS),
  qos: fc.constantFrom<QoS>(0, 1),
});
const subscribe = fc.record({
  do: fc.constant('subscribe' as const),
  filters: fc.uniqueArray(filter, { minLength: 1, maxLength: 4, selector: ([text]) => text }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: publish },
  { weight: 2, arbitrary: subscribe },
  fc.record({ do: fc.constantFrom('end' as const, 'leave' as const), which: fc.nat(20) }),
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('serve' as const, 'serve' as const, 'serve one' as const) }),
  },
  fc.record({
    do: fc.constantFrom('hold' as const, 'release' as const, 'resume' as const, 'forget' as const),
  }),
);

/** One subscription of the client. */
interface Reader {
  /** Its Topic Filters with the QoS that they can have. */
  readonly asked: ReadonlyMap<string, QoS>;
  /** Those that it still has. */
  readonly filters: Set<string>;
  readonly messages: { readonly text: string; readonly qos: QoS }[];
  subscription: Subscription | undefined;
  phase: 'asked' | 'granted' | 'over';
}

/** What is to come of one message. */
interface Expectation {
  readonly text: string;
  readonly topic: string;
  readonly qos: QoS;
  /** Those that had it coming when it was published, each with its filters that match. */
  readonly readers: ReadonlyMap<Reader, readonly string[]>;
}

class OverlapWorld {
  readonly #style: Style;
  readonly #clock = new FakeClock();
  readonly #network = scriptedNetwork(this.#clock);
  readonly #client: Client;
  readonly #readers: Reader[] = [];
  readonly #expectations: Expectation[] = [];
  /** The subscriptions of the server. */
  readonly #server = new Map<string, { readonly qos: QoS; readonly identifier: number }>();
  #broker: ScriptedBroker | undefined;
  #served = 0;
  #held: EncodablePacket[] | undefined;
  #packetId = 0;
  #published = 0;

  constructor(makeClient: MakeClient, style: Style) {
    this.#style = style;
    this.#client = makeClient(
      'mqtt://server',
      { protocolVersion: 5, clientId: 'me', cleanStart: false, sessionExpiryInterval: 60, keepAlive: 0 },
      {
        clock: this.#clock,
        wallClock: () => this.#clock.now(),
        random: () => 0.5,
        dial: (target, { signal }) => this.#network.dial(target, signal),
      },
    );
  }

  async run(steps: readonly Step[]): Promise<void> {
    void this.#client.connect();
    await this.#accept(false);
    for (const one of steps) {
      await this.#do(one);
      await this.#clock.advance(0);
    }
    await this.#do({ do: 'release' });
    await this.#do({ do: 'serve' });
    this.#checkAll();
    const ending = this.#client.disconnect();
    await this.#clock.advance(0);
    this.#broker?.close();
    await this.#clock.advance(0);
    await ending;
  }

  async #do(one: Step): Promise<void> {
    switch (one.do) {
      case 'subscribe':
        return this.#subscribe(one.filters);
      case 'end':
        return this.#end(one.which);
      case 'leave':
        return this.#leave(one.which);
      case 'publish':
        return this.#publish(one.topic, one.qos);
      case 'serve':
        for (let seen = -1; seen !== this.#served; await this.#clock.advance(0)) {
          seen = this.#served;
          this.#serve();
        }
        return;
      case 'serve one':
        return this.#serve(1);
      case 'hold':
        this.#held ??= [];
        return;
      case 'release': {
        const held = this.#held ?? [];
        this.#held = undefined;
        this.#broker?.send(...held);
        return this.#clock.advance(0);
      }
      default:
        return this.#reconnect(one.do === 'resume');
    }
  }

  // --- the application -----------------------------------------------------------------------------------------

  #subscribe(filters: readonly (readonly [string, QoS])[]): void {
    const asked = new Map(filters.map(([one, qos]) => [one, grantOf(one, qos)]));
    const reader: Reader = {
      asked,
      filters: new Set(asked.keys()),
      messages: [],
      subscription: undefined,
      phase: 'asked',
    };
    this.#readers.push(reader);
    const subscribing = this.#client.subscribe(filters.map(([topicFilter, qos]) => ({ topicFilter, qos })));
    void (async () => {
      for await (const message of subscribing)
        reader.messages.push({ text: message.text(), qos: message.qos });
    })().catch(() => {});
    const granted = (subscription: Subscription): void => {
      reader.subscription = subscription;
      if (reader.phase === 'asked') reader.phase = 'granted';
    };
    subscribing.then(granted, () => (reader.phase = 'over'));
  }

  /** One subscription ends. */
  #end(which: number): void {
    const live = this.#readers.filter(({ phase }) => phase === 'granted');
    const reader = live[which % Math.max(1, live.length)];
    if (reader?.subscription === undefined) return;
    reader.phase = 'over';
    reader.subscription.unsubscribe().catch(() => {});
  }

  /** A filter is unsubscribed for all. */
  #leave(which: number): void {
    const topicFilter = FILTERS[which % FILTERS.length] as string;
    for (const reader of this.#readers) {
      reader.filters.delete(topicFilter);
      if (reader.filters.size === 0) reader.phase = 'over';
    }
    this.#client.unsubscribe(topicFilter).catch(() => {});
  }

  // --- the server ----------------------------------------------------------------------------------------------

  async #accept(sessionPresent: boolean): Promise<void> {
    const broker = await this.#network.next();
    this.#broker = broker;
    this.#served = 1;
    const subscriptionIdentifiersAvailable = this.#style !== 'no identifiers';
    await broker.accept({ sessionPresent, properties: { subscriptionIdentifiersAvailable } });
    await this.#clock.advance(0);
  }

  /** The connection breaks. What was held is on the wire no more, as QoS 0 is lost with it. */
  async #reconnect(isPresent: boolean): Promise<void> {
    await this.#do({ do: 'release' });
    this.#serve();
    await this.#clock.advance(0);
    this.#checkAll();
    this.#expectations.length = 0;
    if (!isPresent) this.#server.clear();
    this.#broker?.reset();
    await this.#accept(isPresent);
  }

  /** Processes what has arrived, in order, up to so many packets. */
  #serve(most = Infinity): void {
    const broker = this.#broker as ScriptedBroker;
    const until = this.#served + most;
    for (const packet of broker.packets.slice(this.#served, until)) {
      this.#served++;
      this.#answer(broker, packet);
    }
  }

  #answer(broker: ScriptedBroker, packet: Packet): void {
    if (packet.type === 'subscribe') {
      const { packetId, subscriptions, properties } = packet;
      const identifier = properties.subscriptionIdentifier ?? 0;
      const grants = subscriptions.map(({ topicFilter, qos }) => grantOf(topicFilter, qos));
      subscriptions.forEach(({ topicFilter }, i) =>
        this.#server.set(topicFilter, { qos: grants[i] as QoS, identifier }),
      );
      broker.send({ type: 'suback', packetId, reasonCodes: grants });
    } else if (packet.type === 'unsubscribe') {
      const { packetId, topicFilters } = packet;
      const reasonCodes = topicFilters.map((one) => (this.#server.delete(one) ? 0 : 0x11));
      broker.send({ type: 'unsuback', packetId, reasonCodes });
    }
  }

  async #publish(topic: string, qos: QoS): Promise<void> {
    const text = `${++this.#published} ${topic}`;
    const matching = [...this.#server].filter(([one]) => matchesFilter(one, topic));
    const readers = new Map<Reader, readonly string[]>();
    for (const reader of this.#readers) {
      const all = [...reader.filters];
      const isComplete = reader.phase === 'granted' && all.every((one) => this.#server.has(one));
      const own = all.filter((one) => matchesFilter(one, topic));
      if (isComplete && own.length > 0) readers.set(reader, own);
    }
    const broker = this.#broker as ScriptedBroker;
    const isServed = broker.packets.length === this.#served;
    const isSettled = this.#readers.every(
      (reader) =>
        reader.phase !== 'asked' &&
        (reader.phase === 'over' || [...reader.filters].every((one) => this.#server.has(one))),
    );
    const expectation = { text, topic, qos, readers };
    this.#expectations.push(expectation);
    const copies = matching.map(([, one]) => one);
    this.#send(topic, text, qos, copies);
    if (this.#held !== undefined) return;
    await this.#clock.advance(0);
    // Nothing else is on the way: everybody has it once.
    if (isServed && isSettled) this.#checkExactly(expectation);
    for (const [n, { phase, filters, messages }] of this.#readers.entries())
      if (phase === 'granted' && matching.some(([one]) => filters.has(one)))
        if (!messages.some((one) => one.text === text)) throw new Error(`reader ${n} did not get "${text}"`);
  }

  #send(
    topic: string,
    text: string,
    published: QoS,
    matching: readonly { readonly qos: QoS; readonly identifier: number }[],
  ): void {
    if (matching.length === 0) return;
    const highest = Math.max(...matching.map(({ qos }) => qos));
    const one = { qos: highest as QoS, identifiers: matching.map(({ identifier }) => identifier) };
    const copies = {
      'one copy with all identifiers': () => [one],
      'a copy per filter': () => matching.map(({ qos, identifier }) => ({ qos, identifiers: [identifier] })),
      'no identifiers': () => [{ ...one, identifiers: [] }],
    }[this.#style]();
    const payload = new TextEncoder().encode(text);
    for (const { qos: granted, identifiers } of copies) {
      const qos = Math.min(granted, published) as QoS;
      const properties = identifiers.length > 0 ? { subscriptionIdentifiers: identifiers } : {};
      const packetId = (this.#packetId = (this.#packetId % 60_000) + 1);
      const packet = {
        type: 'publish',
        topic,
        payload,
        qos,
        properties,
        ...(qos > 0 && { packetId }),
      } as const;
      // A window holds back QoS 1, not QoS 0.
      if (this.#held === undefined || qos === 0) this.#broker?.send(packet);
      else this.#held.push(packet);
    }
  }

  // --- what must have come about -------------------------------------------------------------------------------

  #checkExactly({ text, qos, readers }: Expectation): void {
    for (const [n, reader] of this.#readers.entries()) {
      const got = reader.messages.filter((one) => one.text === text);
      const own = readers.get(reader);
      if (got.length !== (own === undefined ? 0 : 1))
        throw new Error(`reader ${n} got "${text}" ${got.length} times`);
      const granted = Math.max(...(own ?? []).map((one) => reader.asked.get(one) as QoS));
      if (got.some((one) => one.qos < Math.min(qos, granted)))
        throw new Error(`reader ${n} got "${text}" with QoS ${got[0]?.qos}`);
    }
  }

  /** What changes meanwhile may bring a message twice, and loses none. */
  #checkAll(): void {
    for (const [n, reader] of this.#readers.entries()) {
      const asked = [...reader.asked.keys()];
      for (const { text } of reader.messages) {
        const topic = text.split(' ')[1] as string;
        if (!asked.some((one) => matchesFilter(one, topic)))
          throw new Error(`reader ${n} got "${text}", which it does not match`);
      }
      for (const { text, readers } of this.#expectations) {
        const count = reader.messages.filter((one) => one.text === text).length;
        // With one filter, there is nothing that could bring it twice.
        if (count > 1 && reader.asked.size === 1) throw new Error(`reader ${n} got "${text}" ${count} times`);
        if (reader.phase !== 'granted' || count > 0) continue;
        if (readers.get(reader)?.some((one) => reader.filters.has(one)) === true)
          throw new Error(`reader ${n} lost "${text}"`);
      }
    }
  }
}

/** What the server grants: no more than QoS 1 for one of the filters, and QoS 0 for another. */
function grantOf(topicFilter: string, qos: QoS): QoS {
  const most = topicFilter === '+/b' ? 1 : topicFilter === '#' ? 0 : 2;
  return Math.min(qos, most) as QoS;
}

/** What is wrong with a client whose subscriptions overlap; undefined: nothing was found. */
export async function exploreOverlaps(
  makeClient: MakeClient,
  style: Style,
  parameters: fc.Parameters<[Step[]]>,
): Promise<string | undefined> {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), (steps) =>
    new OverlapWorld(makeClient, style).run(steps),
  );
  const result = await fc.check(property, parameters);
  if (!result.failed) return undefined;
  const { errorInstance, counterexample, seed, counterexamplePath } = result;
  const message = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  return `${style}: ${message}\nseed ${seed}, path "${counterexamplePath}"\n${fc.stringify(counterexample)}`;
}
