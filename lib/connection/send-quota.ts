/**
 * How many QoS > 0 exchanges of ours may be on the wire: Receive Maximum (4.9), or `maxInflight` where that is less.
 * A quota lives as long as one Network Connection. An exchange takes from it once per connection, and whatever ends
 * it gives back what it took, so that an answer to an older connection's packet is never counted twice.
 */
export class SendQuota {
  /** Lowering it takes back nothing: it only admits less. */
  limit: number;
  #used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** At 0 no further PUBLISH with QoS > 0 is sent [MQTT-4.9.0-2]. */
  get free(): number {
    return Math.max(0, this.limit - this.#used);
  }

  /** A PUBLISH was written; a PUBREL of an older connection counts as well, though nothing ever holds it back. */
  take(): void {
    this.#used++;
  }

  give(): void {
    if (this.#used > 0) this.#used--;
  }
}
