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

/**
 * Packet Identifiers under which the server may hold a QoS 2 message of this session whose PUBREL never came: this
 * client gave the message up, or another client used the session before. The server would take the next QoS 2 message
 * under such an identifier for a repeat and not deliver it [MQTT-4.3.3-10], so a PUBREL has to go out first.
 */
export class OrphanedIds {
  /** 1 = orphaned. Undefined: none is. */
  #orphaned: Uint8Array | undefined = undefined;

  /** A QoS 2 message was given up. */
  add(packetId: number): void {
    this.#orphaned ??= new Uint8Array(PACKET_IDENTIFIERS + 1);
    this.#orphaned[packetId] = 1;
  }

  /** The session was resumed, and another client may have used it until now. */
  addAll(): void {
    this.#orphaned = new Uint8Array(PACKET_IDENTIFIERS + 1).fill(1);
  }

  /** Whether `packetId` is orphaned. It no longer is: the caller sends the PUBREL. */
  take(packetId: number): boolean {
    if (this.#orphaned?.[packetId] !== 1) return false;
    this.#orphaned[packetId] = 0;
    return true;
  }

  /** The server lost the session. */
  clear(): void {
    this.#orphaned = undefined;
  }
}
