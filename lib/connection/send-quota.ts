/**
 * How many QoS 1 and 2 messages of the client may be on the wire: Receive Maximum (4.9) or `maxInflight`, whichever is
 * lower. There is one quota per Network Connection. A message takes from it once per connection and gives back when it is
 * over, so that an acknowledgement for an older connection's packet is never counted twice.
 */
export class SendQuota {
  /** Lowering it recalls nothing: it only admits fewer. */
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
    return Math.max(0, this.limit - this.#used); // fault: window
  }

  /** A PUBLISH was written, or the PUBREL of a message from an older connection, which the quota never delays. */
  take(): void {
    this.#used++;
  }

  give(): void {
    if (this.#used > 0) this.#used--;
  }
}
