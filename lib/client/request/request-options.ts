import { encode } from '../../codec/codec.ts';
import type { ProtocolVersion, PublishProperties, QoS } from '../../codec/packets.ts';
import { topicNameError } from '../../topic/names.ts';
import { checkEncodable, checkObject, choice, integerIn, string, type Checks } from '../config/validate.ts';
import { toPayload, type Payload } from '../publish/payload.ts';
import { ownProperties } from '../publish/publish-calls.ts';
import { checkCallWith, type CallOptions } from '../runtime/cancellation.ts';

/** Options of `request()`. */
export interface RequestOptions extends CallOptions {
  /**
   * ms to wait for the reply, reconnection included. The rest of it, in whole seconds, is sent with the request as
   * Message Expiry Interval (5.0), unless `properties` has one. @default 30000
   */
  readonly timeout?: number | undefined;
  /** Quality of Service of the request (4.3). A service replies with the same. @default 0 */
  readonly qos?: QoS | undefined;
  /** Further properties of the request. 5.0 */
  readonly properties?:
    | Omit<PublishProperties, 'subscriptionIdentifiers' | 'responseTopic' | 'correlationData'>
    | undefined;
  /**
   * The Response Topic (5.0, 3.3.2.3.5), which the client subscribes to. @default the Response Information of the server,
   * else `clients/<clientId>/responses/<random>`
   */
  readonly responseTopic?: string | undefined;
  /**
   * `topic`: the convention for MQTT 3.1 and 3.1.1, which have no Response Topic. The service needs it too: see
   * docs/request-response.md. @default none, which needs 5.0
   */
  readonly convention?: 'topic' | undefined;
}

/** Options of `requestMany()`. `timeout` is for all replies together, and ends the loop without an error. */
export interface RequestManyOptions extends RequestOptions {
  /**
   * What ends the loop before `timeout`: `count` replies, or `stall` ms without one since the last, both at least 1.
   * @default none
   */
  readonly until?: { readonly stall?: number | undefined; readonly count?: number | undefined } | undefined;
  /** Whether a reply that is a failure makes the loop throw, or is left out. @default "throw" */
  readonly onError?: 'throw' | 'skip' | undefined;
}

/** A checked request. */
export interface RequestCall {
  readonly name: 'request' | 'requestMany';
  readonly topicName: string;
  readonly payload: string | Uint8Array;
  readonly qos: QoS;
  readonly properties: PublishProperties;
  readonly responseTopic: string | undefined;
  readonly convention: 'topic' | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeout: number;
  readonly until: { readonly stall?: number; readonly count?: number };
  readonly onError: 'throw' | 'skip';
}

const TIMEOUT = 30_000;
const NO_PAYLOAD = new Uint8Array(0);

const REQUEST_CHECKS: Checks<Omit<RequestOptions, keyof CallOptions>> = {
  qos: choice(0, 1, 2),
  properties: (_, value) => value as RequestOptions['properties'],
  responseTopic(name, value) {
    const topicName = checkTopicName(name, value);
    // A service does not answer there, and `$share/…` is a Topic Filter.
    if (topicName.startsWith('$'))
      throw new TypeError(`${name}: expected a Topic Name that does not begin with $`);
    return topicName;
  },
  convention: choice('topic'),
};

const MANY_CHECKS: Checks<Omit<RequestManyOptions, keyof CallOptions>> = {
  ...REQUEST_CHECKS,
  until: (name, value) =>
    checkObject<NonNullable<RequestManyOptions['until']>>(name, value, {
      stall: integerIn(1),
      count: integerIn(1),
    }),
  onError: choice('throw', 'skip'),
};

/** Checks the arguments of `request()` or `requestMany()`. */
export function checkRequest(
  name: RequestCall['name'],
  version: ProtocolVersion,
  [topicName, payload, options]: readonly [string, Payload, RequestManyOptions],
): RequestCall {
  const checks = name === 'request' ? (REQUEST_CHECKS as typeof MANY_CHECKS) : MANY_CHECKS;
  const given = checkCallWith<Omit<RequestManyOptions, keyof CallOptions>>(name, options, checks);
  const { qos = 0, properties, responseTopic, convention, signal, timeout = TIMEOUT } = given;
  checkTopicName('topicName', topicName);
  if (version < 5 && convention === undefined)
    throw new TypeError(
      `convention: expected "topic", as MQTT ${version === 4 ? '3.1.1' : '3.1'} has no Response Topic, got none`,
    );
  if (version < 5 && properties !== undefined)
    throw new TypeError('properties: expected none, as only MQTT 5.0 has them');
  if (responseTopic !== undefined && convention !== undefined)
    throw new TypeError(
      'responseTopic: expected none with convention "topic", which has one for each request',
    );
  if (properties !== undefined)
    checkProperties(topicName, properties, ['subscriptionIdentifiers', 'responseTopic', 'correlationData']);
  return {
    name,
    topicName,
    payload: toPayload(payload),
    qos,
    properties: properties === undefined ? {} : ownProperties(properties),
    responseTopic,
    convention,
    signal,
    timeout,
    until: (given.until ?? {}) as RequestCall['until'],
    onError: given.onError ?? 'throw',
  };
}

export function checkTopicName(name: string, value: unknown): string {
  const wrong = topicNameError(string(name, value));
  if (wrong !== undefined) throw new TypeError(`${name}: ${wrong}`);
  return value as string;
}

/** Checks properties of PUBLISH, of which those that are `taken` must not be given. */
export function checkProperties(topicName: string, properties: object, taken: readonly string[]): void {
  const found = taken.find((key) => (properties as Record<string, unknown>)[key] !== undefined);
  if (found !== undefined) throw new TypeError(`properties.${found}: expected none, as this call sets it`);
  checkEncodable(() => encode({ type: 'publish', topic: topicName, payload: NO_PAYLOAD, properties }, 5));
}
