import type { PublishReader } from '../../lib/codec/publish-reader.ts';
import type { AckProperties } from '../../lib/codec/packets.ts';
import type { RetryContext } from '../../lib/engine/backoff.ts';
import type { Delivery } from '../../lib/engine/delivery.ts';
import type { AuthenticationStep, Change, Effects } from '../../lib/engine/effects.ts';
import type { ConnectPhase, FilterResult, MqttError } from '../../lib/errors.ts';
import type { ServerChoice } from '../../lib/engine/options.ts';
import type { PublishWaiter } from '../../lib/session/exchange.ts';
import type { Receipt } from '../../lib/session/incoming.ts';
import type { RequestWaiter } from '../../lib/session/request.ts';

/** A delivered message, as it was at that moment. */
export interface Delivered {
  readonly topic: string;
  readonly text: string;
  readonly qos: number;
  readonly duplicate: boolean;
  readonly packetId: number;
  readonly receipt: Receipt | undefined;
}

const decoder = new TextDecoder();

/** Records the calls of an engine to its environment. */
export class Recorder implements Effects {
  readonly delivered: Delivered[] = [];
  readonly changes: Change[] = [];
  /** Number of servers. */
  servers = 1;
  left = 0;
  /** Number of servers that a Server Reference resolves to. */
  followed = 0;
  /** The phase of the current attempt. */
  phase: ConnectPhase = 'dial';
  /** The contexts that the policy was asked about. */
  readonly asked: RetryContext[] = [];
  /** Output passed to the last `hangUp()`. */
  rest: readonly Uint8Array[] = [];
  /** How a QoS > 0 message is answered while it is delivered. */
  onReceipt: (receipt: Receipt) => 'taken' | 'acknowledge' = () => 'taken';
  /** The application gets a turn after this number of messages. */
  turnAfter = Infinity;
  /** What the application was asked for AUTH, oldest first. */
  readonly steps: AuthenticationStep[] = [];
  /** Whether the application checks the server's proof. */
  proof: 'asked' | 'not needed' = 'not needed';
  #log: string[] = [];

  decide(context: RetryContext): void {
    this.asked.push(context);
    this.#log.push('decide');
  }

  authenticate(step: AuthenticationStep): 'asked' | 'not needed' {
    this.steps.push(step);
    this.#log.push(step.type === 'over' ? `authentication ${step.result}` : `authentication: ${step.type}`);
    return step.type === 'finish' ? this.proof : 'asked';
  }

  deliver(publish: PublishReader, receipt: Receipt | undefined): Delivery {
    const { topic, qos, duplicate, packetId } = publish;
    const text = decoder.decode(publish.payload());
    this.delivered.push({ topic, text, qos, duplicate, packetId, receipt });
    const delivery = receipt === undefined ? 'taken' : this.onReceipt(receipt);
    return this.delivered.length % this.turnAfter === 0 ? `${delivery}-full` : delivery;
  }

  dial(attempt: number, _reason: MqttError | undefined, which: ServerChoice): number {
    this.#log.push(which === 'first' ? `dial ${attempt}` : `dial ${attempt}, the ${which} server`);
    if (which === 'first') this.left = this.servers;
    if (which !== 'same') this.left--;
    return this.left;
  }

  redirect(serverReference: string, lasting: 'for now' | 'for good'): number {
    this.#log.push(`refer to ${serverReference} ${lasting}`);
    this.left += this.followed;
    return this.followed;
  }

  dialPhase(): ConnectPhase {
    return this.phase;
  }

  hangUp(rest: readonly Uint8Array[]): void {
    this.rest = rest;
    this.#log.push('hang up');
  }

  closeGracefully(rest: readonly Uint8Array[]): void {
    this.rest = rest;
    this.#log.push('retire');
  }

  finish(): void {
    this.#log.push('finish');
  }

  overflowed(topicName: string): void {
    this.#log.push(`overflowed: ${topicName}`);
  }

  changed(change: Change): void {
    this.changes.push(change);
    this.#log.push(`changed: ${change.type}`);
  }

  /** Returns what was recorded since the last call. */
  take(): string[] {
    const log = this.#log;
    this.#log = [];
    return log;
  }

  /** The newest change of the given type. */
  last<Type extends Change['type']>(type: Type): Extract<Change, { type: Type }> {
    const found = this.changes.findLast((change) => change.type === type);
    if (found === undefined) throw new Error(`expected a change of type ${type}, got none`);
    return found as Extract<Change, { type: Type }>;
  }

  /** The texts of all delivered messages, in order. */
  get texts(): string[] {
    return this.delivered.map(({ text }) => text);
  }

  /** The receipt of the newest delivered message. */
  get receipt(): Receipt {
    const receipt = this.delivered.at(-1)?.receipt;
    if (receipt === undefined) throw new Error('the newest message has no receipt');
    return receipt;
  }
}

/** A waiter for one result, which counts its calls. */
export class Waiter implements PublishWaiter, RequestWaiter {
  told = 0;
  reasonCode: number | undefined = undefined;
  properties: AckProperties | undefined = undefined;
  reasonCodes: readonly number[] | undefined = undefined;
  results: readonly FilterResult[] = [];
  /** Topic Filters that the engine does not send again. */
  givenUp: ReadonlySet<string> | undefined = undefined;
  error: MqttError | undefined = undefined;

  settled(reasonCode: number, properties: AckProperties): void {
    this.told++;
    this.reasonCode = reasonCode;
    this.properties = properties;
  }

  answered(results: readonly FilterResult[], givenUp: ReadonlySet<string>): void {
    this.told++;
    this.results = results;
    this.reasonCodes = results.map(({ reasonCode }) => reasonCode);
    this.givenUp = givenUp;
  }

  failed(error: MqttError): void {
    this.told++;
    this.error = error;
  }

  stored(): 'done' | 'waits' {
    return 'waits';
  }
}
