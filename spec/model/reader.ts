import type { Client } from '../../lib/client/client.ts';
import type { Message } from '../../lib/client/receive/message.ts';
import type { AckMode } from '../../lib/client/receive/subscription.ts';
import type { Holding } from './arrivals.ts';
import type { Model } from './model.ts';

/** How a reader subscribes. */
export interface ReaderOptions {
  readonly name: string;
  readonly topicFilters: readonly string[];
  readonly ack: AckMode;
  /** Maximum number of waiting QoS 0 messages. */
  readonly most: number;
}

/** An application that reads one subscription on command. */
export class Reader {
  readonly options: ReaderOptions;
  readonly #model: Model;
  #messages: AsyncIterable<Message> | undefined;
  #subscription: object | undefined;
  #loop: AsyncIterator<Message> | undefined;
  #isAsking = false;
  #wanted = 0;
  #isGranted = false;
  #state: 'reading' | 'abandoned' = 'reading';
  /** Messages in the body of the loop. */
  #inHand: Holding | undefined;
  /** `manual`: received and unsettled messages, oldest first. */
  #held: Holding[] = [];

  constructor(options: ReaderOptions, model: Model) {
    this.options = options;
    this.#model = model;
    const { wants, atOnce } = model.arrivals;
    for (const topic of options.topicFilters)
      wants.set(topic, (wants.get(topic) ?? new Set()).add(options.name));
    if (options.ack === 'received') atOnce.add(options.name);
  }

  get isSubscribed(): boolean {
    return this.#messages !== undefined;
  }

  get isReading(): boolean {
    return this.#isAsking;
  }

  /** Messages that the application has received and not settled. */
  get held(): number {
    return this.#held.length;
  }

  subscribe(client: Client): void {
    const { topicFilters, ack, most } = this.options;
    const subscribed = client.subscribe(topicFilters, { qos: 2, ack, buffer: { messages: most } });
    this.#messages = subscribed;
    this.#isGranted = false;
    subscribed.then(
      (subscription) => this.#granted(subscription),
      (error: unknown) => this.#failed('could not subscribe', error),
    );
  }

  /** The client reports that `subscription` is read too slowly. */
  stalled(subscription: object | undefined): void {
    if (subscription !== this.#subscription || subscription === undefined) return;
    if (this.#loop === undefined) this.#model.arrivals.absentUntil.set(this.options.name, Infinity);
  }

  /** Its process is gone, with all messages that it holds. */
  abandon(): void {
    this.#state = 'abandoned';
    this.#isAsking = false;
    this.ended();
  }

  #granted(subscription: object): void {
    this.#isGranted = true;
    this.#subscription = subscription;
  }

  /** Reads a number of messages, as they come. */
  take(count: number): void {
    if (this.#messages === undefined) return;
    const { absentUntil, now } = this.#model.arrivals;
    if (absentUntil.get(this.options.name) === Infinity) absentUntil.set(this.options.name, now());
    this.#loop ??= this.#messages[Symbol.asyncIterator]();
    this.#wanted += count;
    this.#ask();
  }

  /** `manual`: settles one of the unsettled messages, in any order. */
  settle(which: number, client: Client): void {
    const [holding] = this.#held.splice(which % Math.max(1, this.#held.length), 1);
    if (holding === undefined) return;
    // Only 5.0 can reject a message.
    const how = client.negotiated?.protocolVersion === 5 && which % 7 === 6 ? 'refused' : 'done';
    this.#model.arrivals.settled(holding, how);
    if (how === 'done') holding.message.ack();
    else holding.message.reject(0x80);
  }

  /** Ends its loop, as `break` does. Returns whether one ended that does not wait. */
  break(): boolean {
    if (this.#loop === undefined || this.#isAsking) return false;
    const loop = this.#loop;
    this.#loop = undefined;
    this.#wanted = 0;
    const inHand = this.#inHand;
    this.#inHand = undefined;
    if (inHand !== undefined && this.options.ack === 'manual') this.#drop(inHand);
    else if (inHand !== undefined) this.#model.arrivals.givenBack(inHand);
    void loop.return?.();
    return true;
  }

  /** The subscription has ended, for the client or for the server: nobody owns its messages. */
  ended(): void {
    for (const holding of [...this.#held, ...(this.#inHand === undefined ? [] : [this.#inHand])])
      this.#model.arrivals.givenBack(holding);
    if (this.#isAsking) this.#model.broken(`a loop of ${this.options.name} goes on after the end`);
    this.#held = [];
    this.#inHand = undefined;
    this.#loop = undefined;
    this.#messages = undefined;
    this.#wanted = 0;
  }

  /** In manual mode, a message in the body of a loop is released only if it is unsettled. */
  #drop(holding: Holding): void {
    const at = this.#held.indexOf(holding);
    if (at === -1) return;
    this.#held.splice(at, 1);
    this.#model.arrivals.givenBack(holding);
  }

  #ask(): void {
    if (this.#isAsking || this.#wanted <= 0 || this.#loop === undefined) return;
    const { ack } = this.options;
    if (ack === 'processed' && this.#inHand !== undefined) this.#model.arrivals.settled(this.#inHand);
    this.#inHand = undefined;
    this.#isAsking = true;
    this.#loop.next().then(
      (result) => this.#answered(result),
      (error: unknown) => {
        this.#isAsking = false;
        this.#failed('could not go on', error);
      },
    );
  }

  /** Only operations that were pending when the client closed may fail, and all of them when its store does. */
  #failed(what: string, error: unknown): void {
    const { code } = error as { code?: string };
    if (this.#state === 'abandoned' || code === 'ERR_MQTT_STORE') return;
    if (this.#isGranted || code !== 'ERR_MQTT_CLOSED')
      this.#model.broken(`${this.options.name} ${what}: ${String(error)}`);
  }

  #answered(result: IteratorResult<Message>): void {
    if (this.#state === 'abandoned') return;
    this.#isAsking = false;
    if (result.done !== true) this.#got(result.value);
  }

  #got(message: Message): void {
    this.#wanted--;
    const holding = this.#model.arrivals.given(this.options.name, message);
    if (holding !== undefined && this.options.ack === 'received') {
      this.#model.arrivals.settled(holding);
    } else if (holding !== undefined) {
      this.#inHand = holding;
      if (this.options.ack === 'manual') {
        if (message.qos > 0) this.#held.push(holding);
        else this.#model.arrivals.settled(holding);
      }
    }
    this.#ask();
  }
}
