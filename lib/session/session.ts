import { Incoming } from './incoming.ts';
import { Outgoing } from './outgoing.ts';
import { PacketIdentifiers } from './packet-identifiers.ts';
import { Stage, type Exchange } from './exchange.ts';
import { Queue } from './queue.ts';
import { type RequestPart } from './request.ts';
import { Requests } from './requests.ts';
import { Subscriptions } from './subscriptions.ts';

/** What outlives a Network Connection (4.1): Session State, and what waits to become part of it. */
export class Session {
  readonly packetIdentifiers: PacketIdentifiers = new PacketIdentifiers();
  readonly queue: Queue = new Queue();
  readonly outgoing: Outgoing = new Outgoing();
  readonly incoming: Incoming = new Incoming();
  readonly requests: Requests = new Requests();
  readonly subscriptions: Subscriptions = new Subscriptions();

  /** The Network Connection ended: what belonged to it alone goes. */
  connectionLost(): void {
    for (const packetId of this.requests.connectionLost()) this.packetIdentifiers.free(packetId);
    this.outgoing.pause();
    this.incoming.connectionLost();
  }

  /** The server answered `part` of a packet that is over. What it says last of a Topic Filter holds. */
  answered(part: RequestPart, reasonCode: number): void {
    const { topicFilter } = part.entry;
    if (this.requests.endPart(part, reasonCode < 0x80 ? 'granted' : 'refused')) {
      if (part.kind === 'subscribe') this.subscriptions.set(part.entry);
      else this.subscriptions.delete(topicFilter);
    } else if (reasonCode >= 0x80 && part.restores && part.state === 'current')
      this.subscriptions.delete(topicFilter);
    this.requests.answer(part, reasonCode);
  }

  /** `part` is not sent again: its callers get the error, and nothing of it is restored. */
  giveUp(part: RequestPart): void {
    if (part.restores) this.subscriptions.delete(part.entry.topicFilter);
    this.requests.answer(part, 0x80, 'quarantine');
  }

  /** The server has the session (Session Present 1): what is unanswered is sent again [MQTT-4.4.0-1]. */
  resume(): void {
    this.outgoing.rewind();
  }

  /**
   * The server has no session: nothing of ours is in flight any more and all Packet Identifiers are free
   * [MQTT-3.2.2-5]. Returns the exchanges that were, in call order, as messages that were never sent.
   */
  discard(): { readonly outgoing: Exchange[]; readonly unsettled: number } {
    const outgoing = this.outgoing.takeAll();
    for (const exchange of outgoing) {
      this.packetIdentifiers.free(exchange.packetId);
      exchange.packetId = 0;
      exchange.connectionNumber = 0;
      exchange.ignoresPubcomp = false;
      exchange.stage = Stage.Waiting;
    }
    return { outgoing, unsettled: this.incoming.discard() };
  }
}
