import type { AckProperties } from '../codec/packets.ts';
import { Incoming } from './incoming.ts';
import { Outgoing } from './outgoing.ts';
import { PacketIdentifiers } from './packet-identifiers.ts';
import type { Exchange } from './exchange.ts';
import { Queue } from './queue.ts';
import type { RequestPart, SubscriptionEntry } from './request.ts';
import { Requests } from './requests.ts';

/** Everything that outlives a Network Connection: Session State (4.1), and what waits to become part of it. */
export class Session {
  readonly packetIdentifiers: PacketIdentifiers = new PacketIdentifiers();
  readonly queue: Queue = new Queue();
  readonly outgoing: Outgoing = new Outgoing();
  readonly incoming: Incoming = new Incoming();
  readonly requests: Requests = new Requests();
  /**
   * The subscriptions of this client by Topic Filter, to restore them if the server has lost the session. Session State of
   * the client does not include them (4.1): they are what the application asked for.
   */
  readonly subscriptions: Map<string, SubscriptionEntry> = new Map();

  /** The Network Connection ended: drops what belonged to it alone. */
  connectionLost(): void {
    for (const packetId of this.requests.connectionLost()) this.packetIdentifiers.free(packetId);
    this.outgoing.pause();
    this.incoming.connectionLost();
  }

  /** The server acknowledged `part` of a packet that is over. `properties`: of the acknowledgement. */
  answered(part: RequestPart, reasonCode: number, properties?: AckProperties): void {
    const { topicFilter } = part.entry;
    if (this.requests.endPart(part, reasonCode < 0x80 ? 'granted' : 'refused')) {
      // The same Topic Filter again replaces its options [MQTT-3.8.4-3].
      if (part.kind === 'subscribe') this.subscriptions.set(topicFilter, part.entry);
      else this.subscriptions.delete(topicFilter);
    } else if (reasonCode >= 0x80 && part.restores && part.state === 'current')
      this.subscriptions.delete(topicFilter);
    this.requests.answer(part, reasonCode, 'server', properties);
  }

  /** The quarantine gave `part` up: its requests fail, and its subscription is not restored. */
  giveUp(part: RequestPart): void {
    if (part.restores) this.subscriptions.delete(part.entry.topicFilter);
    this.requests.answer(part, 0x80, 'quarantine');
  }

  /**
   * The server has no session: nothing is in flight any more, and all Packet Identifiers are free [MQTT-3.2.2-5]. Returns
   * the exchanges in call order, as messages to send anew, and how many received messages were not settled.
   */
  discard(): { readonly outgoing: Exchange[]; readonly unsettled: number } {
    const outgoing = this.outgoing.takeAll();
    for (const exchange of outgoing) {
      this.packetIdentifiers.free(exchange.packetId);
      exchange.startOver();
    }
    return { outgoing, unsettled: this.incoming.discard() };
  }
}
