/** How many Packet Identifiers there are: 1 to 65,535 (2.2.1). */
export const PACKET_IDENTIFIERS = 65_535;

/**
 * The Packet Identifiers in use: one pool for PUBLISH, SUBSCRIBE and UNSUBSCRIBE [MQTT-2.2.1-3]. They are given out in
 * turn, so that a freed identifier is used again as late as possible.
 */
export class PacketIdentifiers {
  readonly #used = new Uint8Array(PACKET_IDENTIFIERS + 1);
  #inUse = 0;
  #last = 0;

  get inUse(): number {
    return this.#inUse;
  }

  /** Takes the next free identifier; 0 if all are in use. */
  take(): number {
    if (this.#inUse === PACKET_IDENTIFIERS) return 0;
    let packetId = this.#last; // fault: identifier-start
    do packetId = packetId === PACKET_IDENTIFIERS ? 1 : packetId + 1;
    while (this.#used[packetId] === 1); // fault: identifier-in-use
    this.#used[packetId] = 1;
    this.#inUse++;
    this.#last = packetId;
    return packetId;
  }

  free(packetId: number): void {
    if (this.#used[packetId] !== 1) return;
    this.#used[packetId] = 0;
    this.#inUse--;
  }
}
