/** At most so many aliases are assigned, however many the server takes: that bounds the memory at both ends. */
const MOST = 256;

/** Bytes of a Topic Alias in its packet: identifier and value. It saves the Topic Name, whose length remains. */
const COST = 3;
/** Credit is counted in parts of a byte: it grows by two for each byte that is saved, by one for each plain packet. */
const PARTS = 8;
const EARNED = 2;
/** The credit to begin with, and the most there is, in parts: 1 KiB. */
const CREDIT = 1_024 * PARTS;

const NONE = new Uint16Array(0);

/**
 * Topic Aliases that the client chooses by itself (3.3.2.3.4), for one Network Connection [MQTT-3.3.2-7]. Once all are in
 * use, a topic gets the alias of the one that was published to least recently.
 *
 * With more topics in turn than aliases, each would lose its alias before it comes again: every packet would be larger,
 * and none smaller. So taking an alias from another topic costs credit, and aliases earn a quarter of what they save.
 */
export class AssignedAliases {
  /** The highest alias. */
  readonly maximum: number;
  /** By topic. */
  readonly #aliases = new Map<string, number>();
  /** By alias; undefined: it is free, or not ours. */
  readonly #topics: (string | undefined)[] = [undefined];
  /** The aliases in use as a ring, by alias: the next more and less recent one. 0 stands between newest and oldest. */
  #newer: Uint16Array = NONE;
  #older: Uint16Array = NONE;
  /** Those above were never assigned. */
  #highest = 0;
  /** Aliases that the application has named: they are its own. */
  #reserved: Set<number> | undefined;
  #credit = CREDIT;

  /** `maximum`: Topic Alias Maximum of the server. */
  constructor(maximum: number) {
    this.maximum = Math.min(maximum, MOST);
  }

  /** hot: the alias that the server knows for `topicName`, which is now the most recent one; 0 = none. */
  find(topicName: string): number {
    const newest = this.#older[0] ?? 0;
    const alias = this.#topics[newest] === topicName ? newest : this.#aliases.get(topicName);
    if (alias === undefined) return 0;
    const saved = topicName.length - COST;
    if (saved > 0) this.#credit = Math.min(CREDIT, this.#credit + saved * EARNED);
    if (alias !== newest) {
      this.#unlink(alias);
      this.#link(alias);
    }
    return alias;
  }

  /** The alias for a topic that has none; 0 = it is published without. */
  next(): number {
    while (this.#highest < this.maximum) {
      const alias = this.#highest + 1;
      if (this.#reserved?.has(alias) !== true) return alias;
      this.#highest = alias;
    }
    if (this.#credit >= COST * PARTS) return this.#newer[0] ?? 0;
    // Topics change: after some packets without any saving, an alias is tried again.
    this.#credit++;
    return 0;
  }

  /** A PUBLISH that sets the alias of `next()` was written. */
  define(alias: number, topicName: string): void {
    if (alias > this.#highest) this.#highest = alias;
    else {
      this.#forget(alias);
      this.#credit -= COST * PARTS;
    }
    if (this.#newer.length === 0) {
      this.#newer = new Uint16Array(this.maximum + 1);
      this.#older = new Uint16Array(this.maximum + 1);
    }
    this.#aliases.set(topicName, alias);
    this.#topics[alias] = topicName;
    this.#link(alias);
  }

  /** The application has named `alias`: it is no longer assigned on this connection. */
  reserve(alias: number): void {
    if (alias > this.maximum || this.#reserved?.has(alias) === true) return;
    (this.#reserved ??= new Set()).add(alias);
    this.#forget(alias);
  }

  #forget(alias: number): void {
    const topicName = this.#topics[alias];
    if (topicName === undefined) return;
    this.#aliases.delete(topicName); // fault: taken-alias
    this.#topics[alias] = undefined;
    this.#unlink(alias);
  }

  /** `alias` becomes the newest. */
  #link(alias: number): void {
    const newest = this.#older[0]!;
    this.#older[alias] = newest;
    this.#newer[newest] = alias;
    this.#newer[alias] = 0;
    this.#older[0] = alias;
  }

  #unlink(alias: number): void {
    const newer = this.#newer[alias]!;
    const older = this.#older[alias]!;
    this.#newer[older] = newer;
    this.#older[newer] = older;
  }
}
