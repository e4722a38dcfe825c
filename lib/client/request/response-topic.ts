import type { Negotiated } from '../../connection/negotiated.ts';
import { topicNameError } from '../../topic/names.ts';
import { randomLevel, RANDOM_LEVEL } from './correlation.ts';

/** What a Response Topic is selected by: the present connection, if there is one. */
interface Known {
  readonly negotiated: Negotiated | undefined;
}

/**
 * Selects the Response Topic of this client. It is the Response Information of the server, if it gives any (3.2.2.3.14).
 * Else it is random: a resumed session may still bring replies to a process that is gone.
 */
export class ResponseTopic {
  readonly #random: string = randomLevel();
  #prefix: string | undefined = undefined;
  #information: string | undefined = undefined;
  #topic: string | undefined = undefined;
  #clientId: string | undefined = undefined;

  /** The Client Identifier of the last connection; undefined before the first one, as it may not be known. */
  clientId({ negotiated }: Known): string | undefined {
    if (negotiated !== undefined) this.#clientId = negotiated.clientId;
    return this.#clientId;
  }

  /** Undefined before the first connection: the server may give one, and may assign the Client Identifier. */
  select({ negotiated }: Known): string | undefined {
    if (negotiated === undefined) return this.#topic;
    const { clientId, responseInformation } = negotiated;
    if (this.#topic === undefined || responseInformation !== this.#information) {
      this.#information = responseInformation;
      this.#prefix = `clients/${nameable(clientId)}/responses/`;
      this.#topic = this.#fromServer(responseInformation, clientId) ?? `${this.#prefix}${this.#random}`;
    }
    return this.#topic;
  }

  /** Whether a Topic Name is that of replies to a process of this client, which may be an earlier one. */
  isLeftover(topicName: string): boolean {
    const prefix = this.#prefix;
    if (prefix === undefined || !topicName.startsWith(prefix)) return false;
    return RANDOM_LEVEL.test(topicName.substring(prefix.length));
  }

  /** Response Information that ends with `/` is a prefix, which clients may share. */
  #fromServer(information: string | undefined, clientId: string): string | undefined {
    if (information === undefined) return undefined;
    const topic = information.endsWith('/')
      ? `${information}${nameable(clientId)}/${this.#random}`
      : information;
    return topicNameError(topic) === undefined && !topic.startsWith('$share/') ? topic : undefined;
  }
}

/** A Client Identifier without wildcards. */
function nameable(clientId: string): string {
  return clientId.replaceAll('+', '%2B').replaceAll('#', '%23');
}
