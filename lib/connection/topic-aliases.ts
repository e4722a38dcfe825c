import { ProtocolError } from '../errors.ts';

/** The most characters in the Topic Names of received aliases: 16 MiB at two bytes each. */
const MAXIMUM_CHARACTERS = 8_388_608;

/**
 * Topic Aliases (3.3.2.3.4). They exist within one Network Connection only [MQTT-3.3.2-7], and the two directions are
 * independent.
 */
export class TopicAliases {
  /** The Topic Names that the server has set, by alias. */
  #incoming: Map<number, string> | undefined;
  /** The same of the aliases that the application has named. */
  #outgoing: Map<number, string> | undefined;
  readonly #incomingMaximum: number;
  /** Characters in the names of `#incoming`. */
  #characters = 0;
  /** The highest alias that the server accepts; 0 = none [MQTT-3.3.2-9]. */
  readonly outgoingMaximum: number;

  constructor(incomingMaximum: number, outgoingMaximum: number) {
    this.#incomingMaximum = incomingMaximum;
    this.outgoingMaximum = outgoingMaximum;
  }

  /** The Topic Name of a received PUBLISH with a Topic Alias. */
  receive(alias: number, topicName: string): string {
    if (alias > this.#incomingMaximum)
      throw new ProtocolError(
        `PUBLISH has Topic Alias ${alias}, above the Topic Alias Maximum of ${this.#incomingMaximum}`,
        this.#incomingMaximum === 0 ? 'MQTT-3.1.2-27' : 'MQTT-3.1.2-26',
        0x94,
      );
    const known = this.#incoming?.get(alias);
    if (topicName !== '') {
      this.#characters += topicName.length - (known?.length ?? 0);
      if (this.#characters > MAXIMUM_CHARACTERS)
        throw new ProtocolError(
          'the Topic Names of all Topic Aliases are longer than 16 MiB, more than the client keeps',
          '3.1.2.11.5',
          0x97,
        );
      (this.#incoming ??= new Map()).set(alias, topicName);
      return topicName;
    }
    if (known === undefined)
      throw new ProtocolError(
        `PUBLISH has Topic Alias ${alias} and no Topic Name, but the alias was not defined`,
        '3.3.4',
        0x82,
      );
    return known;
  }

  /** Whether the server knows that `alias` stands for `topicName`, so that the name need not be written. */
  isKnown(alias: number, topicName: string): boolean {
    return this.#outgoing?.get(alias) === topicName;
  }

  /** A PUBLISH with `alias` was written for `topicName`. */
  noteSent(alias: number, topicName: string): void {
    (this.#outgoing ??= new Map()).set(alias, topicName);
  }
}
