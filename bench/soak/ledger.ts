/**
 * Records published and received messages. It forgets messages that every client has finished, so that memory does not
 * grow with the length of the run.
 */
import type { QoS } from '../../lib/index.ts';

/**
 * ms. After a restart Mosquitto 2.0.11 may send QoS 2 messages of this last period again, as PUBLISH with DUP, although
 * it has received their PUBCOMP. To the client such a message is new [MQTT-4.3.3-12].
 */
const RECENT = 30_000;

/** The messages of one stream, as one consumer received them. */
class View {
  /** Messages that must still arrive. */
  readonly expected = new Set<number>();
  /** Messages that may still arrive: their outcome is unknown. */
  readonly perhaps = new Set<number>();
  /** Messages delivered and not acknowledged, which will arrive once more. */
  readonly givenBack = new Set<number>();
  arrived = 0;
  repeated = 0;
  /** QoS 2 duplicates caused by the broker. */
  excused = 0;
  /** First arrivals of QoS 2 messages, with their time, oldest first. */
  readonly #recent = new Map<number, number>();
  /** Messages that the broker may send once more, as it was restarted. */
  #excusable = new Set<number>();
  #highest = -1;
  readonly #stream: Stream;
  readonly #name: string;

  constructor(stream: Stream, consumer: string) {
    this.#stream = stream;
    this.#name = `${stream.topic} at ${consumer}`;
  }

  took(number: number): void {
    if (this.givenBack.delete(number)) return;
    const { qos, ghosts, complain } = this.#stream;
    if (ghosts.has(number)) complain(`${this.#name}: ${number} arrived, although it was abandoned unsent`);
    const first = qos === 0 ? number > this.#highest : this.expected.delete(number);
    if (first || this.perhaps.delete(number)) {
      this.arrived++;
      if (number < this.#highest) complain(`${this.#name}: ${number} arrived after ${this.#highest}`);
      this.#highest = Math.max(this.#highest, number);
      if (qos === 2) this.#remember(number);
      return;
    }
    if (this.#excusable.delete(number)) {
      this.excused++;
      // The next restart may repeat it once more.
      this.#remember(number);
      return;
    }
    this.repeated++;
    // QoS 1 allows duplicates. QoS 0 and QoS 2 do not.
    if (qos !== 1) complain(`${this.#name}: ${number} arrived again, or out of order`);
  }

  /** Call before the broker restarts. */
  restarted(): void {
    this.#forget();
    this.#excusable = new Set(this.#recent.keys());
  }

  #remember(number: number): void {
    this.#recent.delete(number);
    this.#recent.set(number, performance.now());
    this.#forget();
  }

  #forget(): void {
    const oldest = performance.now() - RECENT;
    for (const [number, at] of this.#recent) {
      if (at >= oldest) return;
      this.#recent.delete(number);
    }
  }
}

/** The messages from one publisher to one topic, numbered from 0. */
export class Stream {
  readonly topic: string;
  readonly qos: QoS;
  readonly complain: (what: string) => void;
  /** Messages that were abandoned before they were written. They must not arrive. */
  readonly ghosts = new Set<number>();
  readonly #views = new Map<string, View>();
  #next = 0;

  constructor(topic: string, qos: QoS, consumers: readonly string[], complain: (what: string) => void) {
    this.topic = topic;
    this.qos = qos;
    this.complain = complain;
    for (const consumer of consumers) this.#views.set(consumer, new View(this, consumer));
  }

  /** Starts a message, and returns its number. */
  begin(): number {
    const number = this.#next++;
    if (this.qos > 0) for (const view of this.#views.values()) view.expected.add(number);
    return number;
  }

  /** Call when a message will not be sent. */
  gone(number: number): void {
    for (const view of this.#views.values()) view.expected.delete(number);
    this.ghosts.add(number);
  }

  /** Call when it is unknown whether a message will be sent. */
  unknown(number: number): void {
    for (const view of this.#views.values()) if (view.expected.delete(number)) view.perhaps.add(number);
  }

  /** Call when the application received a message. */
  took(consumer: string, number: number): void {
    this.#view(consumer).took(number);
  }

  /** Call when the application leaves a message unacknowledged. */
  gaveBack(consumer: string, number: number): void {
    this.#view(consumer).givenBack.add(number);
  }

  /** Call before the broker restarts. */
  restarted(): void {
    for (const view of this.#views.values()) view.restarted();
  }

  get published(): number {
    return this.#next;
  }

  get arrived(): number {
    return this.#sum((view) => view.arrived);
  }

  get repeated(): number {
    return this.#sum((view) => view.repeated);
  }

  get excused(): number {
    return this.#sum((view) => view.excused);
  }

  /** Copies that must still arrive, or arrive once more. */
  get missing(): number {
    return this.#sum((view) => view.expected.size + view.givenBack.size);
  }

  #sum(of: (view: View) => number): number {
    let sum = 0;
    for (const view of this.#views.values()) sum += of(view);
    return sum;
  }

  #view(consumer: string): View {
    const view = this.#views.get(consumer);
    if (view === undefined) throw new Error(`${consumer} does not consume ${this.topic}`);
    return view;
  }
}
