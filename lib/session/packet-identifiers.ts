import { IdentifierSet, PACKET_IDENTIFIERS } from './identifier-set.ts';

/**
 * The Packet Identifiers in use: one pool for PUBLISH, SUBSCRIBE and UNSUBSCRIBE [MQTT-2.2.1-3]. They are given out in
 * turn, so that a freed identifier is used again as late as possible.
 */
export class PacketIdentifiers {
  readonly #used = new IdentifierSet();
  #last = 0;

  get inUse(): number {
    return this.#used.size;
  }

  /** Takes the next free identifier; 0 if all are in use. */
  take(): number {
    if (this.#used.size === PACKET_IDENTIFIERS) return 0;
    let packetId = this.#used.absentFrom(this.#last + 1); // fault: identifier-next
    if (packetId > PACKET_IDENTIFIERS) packetId = this.#used.absentFrom(1);
    this.#used.add(packetId);
    this.#last = packetId;
    return packetId;
  }

  /** Takes an identifier that an earlier process has given out. Returns false if it is in use. */
  takeAgain(packetId: number): boolean {
    if (this.#used.has(packetId)) return false; // fault: recovered-identifier
    this.#used.add(packetId);
    if (packetId > this.#last) this.#last = packetId;
    return true;
  }

  free(packetId: number): void {
    this.#used.delete(packetId);
  }
}

/**
 * Packet Identifiers under which the server may hold a QoS 2 message of this session whose PUBREL never came: this
 * client gave the message up, or another client used the session before. The server would take the next QoS 2 message
 * under such an identifier for a repeat and not deliver it [MQTT-4.3.3-10], so a PUBREL has to go out first.
 */
export class OrphanedIds {
  readonly #orphaned = new IdentifierSet();

  get size(): number {
    return this.#orphaned.size;
  }

  /** A QoS 2 message was given up. */
  add(packetId: number): void {
    this.#orphaned.add(packetId);
  }

  /** The session was resumed, and another client may have used it until now. */
  addAll(): void {
    this.#orphaned.addAll();
  }

  /** Whether `packetId` is orphaned. It no longer is: the caller sends the PUBREL. */
  take(packetId: number): boolean {
    return this.#orphaned.delete(packetId);
  }

  /** The server lost the session. */
  clear(): void {
    this.#orphaned.clear();
  }
}
