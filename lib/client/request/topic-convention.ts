/**
 * Request and response without properties, for MQTT 3.1 and 3.1.1. A request to `calc/add` is published to
 * `calc/add/requests/<client>/<n>`, and its reply to `calc/add/responses/<client>/<n>`: `<client>` is the Client
 * Identifier of the requester as one level, `<n>` is random. A failure goes to `…/<n>/error`, as JSON with `code` and
 * `message`. Payloads of requests and replies are as the application gave them.
 */

import type { ReceivedMessage } from '../receive/received-message.ts';
import { remoteError, type ReceivedReply } from './reply-properties.ts';

const REQUESTS = 'requests';
const RESPONSES = 'responses';
const ERROR = 'error';

/** A Client Identifier as one level of a Topic Name. Different ones stay different. */
export function clientLevel(clientId: string): string {
  return clientId.replaceAll(
    /[%/+#]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** Where a request is published. */
export function requestTopic(topicName: string, clientId: string, n: string): string {
  return `${topicName}/${REQUESTS}/${clientLevel(clientId)}/${n}`;
}

/** The Topic Filter of all replies to requests of this client to one topic, failures included. */
export function responseFilter(topicName: string, clientId: string): string {
  return `${topicName}/${RESPONSES}/${clientLevel(clientId)}/#`;
}

/** The Topic Filter of requests to topics that match `topicFilter`. It matches too much if that ends in `#`. */
export function requestFilter(topicFilter: string): string {
  return topicFilter === '#' || topicFilter.endsWith('/#') ? topicFilter : `${topicFilter}/${REQUESTS}/+/+`;
}

/** What the Topic Name of a request says; undefined if it is none. */
export function parseRequestTopic(
  name: string,
): { readonly topic: string; readonly responseTopic: string } | undefined {
  const levels = name.split('/');
  const [kind, client, n] = levels.splice(-3);
  if (levels.length === 0 || kind !== REQUESTS || !client || !n) return undefined;
  const topic = levels.join('/');
  return topic === '' ? undefined : { topic, responseTopic: `${topic}/${RESPONSES}/${client}/${n}` };
}

/** Where a failure is published. */
export function failureTopic(responseTopic: string): string {
  return `${responseTopic}/${ERROR}`;
}

export function failurePayload(code: string, message: string): string {
  return JSON.stringify({ code, message });
}

/** What the Topic Name of a reply says. `topicFilter` is the one of {@link responseFilter} that it matches. */
export function readReply(message: ReceivedMessage, topicFilter: string): ReceivedReply {
  const [n, kind, ...more] = message.topic.substring(topicFilter.length - 1).split('/');
  if (kind === undefined) return { key: n, error: undefined };
  if (kind !== ERROR || more.length > 0) return { key: undefined, error: undefined };
  const { code, message: text } = failureOf(message);
  return { key: n, error: remoteError(code, text) };
}

/** Anything may be in the payload. */
function failureOf(reply: ReceivedMessage): { code: string; message: string } {
  let value: unknown;
  try {
    value = reply.json();
  } catch {
    value = undefined;
  }
  const { code, message } = Object(value) as { code?: unknown; message?: unknown };
  return {
    code: typeof code === 'string' ? code : '',
    message: typeof message === 'string' ? message : '',
  };
}
