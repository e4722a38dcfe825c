import { ProtocolError } from '../errors.ts';

/** Characters of the Topic Names that received aliases may hold: 16 MiB where each takes two bytes. */
const MAXIMUM_CHARACTERS = 8_388_608;

/**
 * Topic Aliases (3.3.2.3.4), both directions. They exist within one Network Connection only [MQTT-3.3.2-7], and the
 * two maps know nothing of each other.
 */
export class TopicAliases {
  readonly #incoming = new Map<number, string>();
  readonly #outgoing = new Map<number, string>();
  readonly #incomingMaximum: number;
  /** Characters of the names in `#incoming`. */
  #characters = 0;
  /** The highest alias the server takes; 0 = none [MQTT-3.3.2-9]. */
  readonly outgoingMaximum: number;

  constructor(incomingMaximum: number, outgoingMaximum: number) {
    this.#incomingMaximum = incomingMaximum;
    this.outgoingMaximum = outgoingMaximum;
  }

  /** The Topic Name of a received PUBLISH with a Topic Alias. */
  receive(alias: number, topicName: string): string {
    if (alias > this.#incomingMaximum)
      throw new ProtocolError(
        `Topic Alias ${alias} is above the maximum of ${this.#incomingMaximum}`,
        this.#incomingMaximum === 0 ? 'MQTT-3.1.2-27' : 'MQTT-3.1.2-26',
        0x94,
      );
    const known = this.#incoming.get(alias);
    if (topicName !== '') {
      this.#characters += topicName.length - (known?.length ?? 0);
      if (this.#characters > MAXIMUM_CHARACTERS)
        throw new ProtocolError('Topic Aliases hold more than 16 MiB of Topic Names', '3.1.2.11.5', 0x97);
      this.#incoming.set(alias, topicName);
      return topicName;
    }
    if (known === undefined)
      throw new ProtocolError(`Topic Alias ${alias} stands for no topic yet`, '3.3.4', 0x82);
    return known;
  }

  /** Whether the server knows by now that `alias` stands for `topicName`, so that the name need not be written. */
  isKnown(alias: number, topicName: string): boolean {
    return this.#outgoing.get(alias) === topicName;
  }

  /** A PUBLISH with both, or with the alias alone, was written. */
  noteSent(alias: number, topicName: string): void {
    this.#outgoing.set(alias, topicName);
  }
}
