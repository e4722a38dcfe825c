import { setTimeout as pause } from 'node:timers/promises';
import { Client } from '../../lib/index.ts';

/** ms for all clients to connect, to connect again, or to get their messages. */
const PATIENCE = 120_000;

interface Member {
  readonly client: Client;
  readonly topic: string;
  /** Connections that the server has accepted so far. */
  connections: number;
  /** Messages that its subscription has brought. */
  received: number;
}

/** Many clients of one process, each with a Will and a subscription. */
export class ClientStorm {
  readonly #members: readonly Member[];

  constructor(count: number, url: string) {
    this.#members = Array.from({ length: count }, (_, i) => ({
      client: new Client(url, {
        clientId: `storm-${i}`,
        will: { topic: `storm/gone/${i}`, payload: 'gone' },
        reconnect: { minDelay: 200, maxDelay: 2_000, jitter: 0.5, retryInitial: true },
      }),
      topic: `storm/${i}`,
      connections: 0,
      received: 0,
    }));
  }

  /** Timers of this process per client. */
  get timers(): number {
    const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    return timers / this.#members.length;
  }

  /** Connects and subscribes all at once. */
  async begin(): Promise<void> {
    await Promise.all(this.#members.map((member) => this.#begin(member)));
  }

  /** Waits until the server has accepted every client for the `times`th time. */
  async connected(times: number): Promise<void> {
    await this.#until(({ connections }) => connections >= times, `have connected ${times} times`);
  }

  /** Sends a message to each subscription, and waits until every client has had `times` messages. */
  async reach(times: number): Promise<void> {
    const [{ client: sender }] = this.#members as [Member, ...Member[]];
    await Promise.all(this.#members.map(({ topic }) => sender.publish(topic, 'you', { qos: 1 })));
    await this.#until(({ received }) => received >= times, `have had ${times} messages`);
  }

  async end(): Promise<void> {
    await Promise.all(this.#members.map(({ client }) => client.disconnect()));
  }

  async #begin(member: Member): Promise<void> {
    const { client, topic } = member;
    void this.#count(member);
    await client.connect();
    const subscription = await client.subscribe(topic, { qos: 1 });
    void subscription.forEach(() => void member.received++);
  }

  async #count(member: Member): Promise<void> {
    for await (const { type } of member.client.status()) if (type === 'connected') member.connections++;
  }

  async #until(isTrue: (member: Member) => boolean, what: string): Promise<void> {
    for (const end = performance.now() + PATIENCE; ; await pause(20)) {
      const behind = this.#members.filter((member) => !isTrue(member)).length;
      if (behind === 0) return;
      if (performance.now() > end)
        throw new Error(`expected all clients to ${what}, but ${behind} of ${this.#members.length} do not`);
    }
  }
}
