import { PACKET_IDENTIFIERS } from './packet-identifiers.ts';

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
