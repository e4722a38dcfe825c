/**
 * What was published and what came of it. It forgets what is settled on all sides, so that an hour of messages costs no
 * more memory than a minute.
 */
import type { QoS } from '../../lib/index.ts';

/**
 * ms: what came so shortly before a restart of Mosquitto 2.0.11 it may send again, as a PUBLISH with DUP, after it has had
 * its PUBCOMP. To the client that is a new message [MQTT-4.3.3-12].
 */
const RECENT = 30_000;

/** What one consumer has seen of one stream. */
class View {
  /** Must still arrive. */
  readonly expected = new Set<number>();
  /** May still arrive: nobody was told what became of them. */
  readonly perhaps = new Set<number>();
  /** Were handed out and not settled, so they come once more. */
  readonly givenBack = new Set<number>();
  arrived = 0;
  repeated = 0;
  /** Repetitions of QoS 2 that are the broker's. */
  excused = 0;
  /** First arrivals of QoS 2, oldest first, and when they were. */
  readonly #recent = new Map<number, number>();
  /** What the broker may send again, once, as it was restarted. */
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
    if (ghosts.has(number)) complain(`${this.#name}: ${number} came, which had been given up unsent`);
    const first = qos === 0 ? number > this.#highest : this.expected.delete(number);
    if (first || this.perhaps.delete(number)) {
      this.arrived++;
      if (number < this.#highest) complain(`${this.#name}: ${number} came first after ${this.#highest}`);
      this.#highest = Math.max(this.#highest, number);
      if (qos === 2) this.#remember(number);
      return;
    }
    if (this.#excusable.delete(number)) {
      this.excused++;
      // After the next restart it may come once more.
      this.#remember(number);
      return;
    }
    this.repeated++;
    // At least once allows for repetitions; neither at most once nor exactly once do.
    if (qos !== 1) complain(`${this.#name}: ${number} came again, or out of order`);
  }

  /** The broker is restarted. */
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

/** The messages of one publisher to one topic, numbered from 0. */
export class Stream {
  readonly topic: string;
  readonly qos: QoS;
  readonly complain: (what: string) => void;
  /** Were given up before they were written, and must not arrive. */
  readonly ghosts = new Set<number>();
  readonly #views = new Map<string, View>();
  #next = 0;

  constructor(topic: string, qos: QoS, consumers: readonly string[], complain: (what: string) => void) {
    this.topic = topic;
    this.qos = qos;
    this.complain = complain;
    for (const consumer of consumers) this.#views.set(consumer, new View(this, consumer));
  }

  /** The number of the next message. */
  begin(): number {
    const number = this.#next++;
    if (this.qos > 0) for (const view of this.#views.values()) view.expected.add(number);
    return number;
  }

  /** A message will not go out. */
  gone(number: number): void {
    for (const view of this.#views.values()) view.expected.delete(number);
    this.ghosts.add(number);
  }

  /** Nobody can say whether a message goes out. */
  unknown(number: number): void {
    for (const view of this.#views.values()) if (view.expected.delete(number)) view.perhaps.add(number);
  }

  /** A message was handed to the application. */
  took(consumer: string, number: number): void {
    this.#view(consumer).took(number);
  }

  /** The application left it unsettled. */
  gaveBack(consumer: string, number: number): void {
    this.#view(consumer).givenBack.add(number);
  }

  /** The broker is restarted. */
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

  /** Copies that have still to arrive, or to come once more. */
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
    if (view === undefined) throw new Error(`${consumer} is no consumer of ${this.topic}`);
    return view;
  }
}
