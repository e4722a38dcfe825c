/** TLS sessions to resume. Resumption shortens the next handshake with the same server (RFC 8446, 2.2). */

import type { PeerCertificate } from 'node:tls';

/** Number of servers whose sessions are kept. The session that was stored longest ago is dropped first. */
const MAX_SERVERS = 16;

/** The result of verifying a server. */
export interface Verified {
  readonly certificate: PeerCertificate;
  /** When the first certificate of the chain expires, in ms since 1970. */
  readonly validUntil: number;
}

/** A session, with the certificate of its server: on resumption the server sends none. */
export interface Ticket extends Verified {
  readonly session: Buffer;
}

/** The latest session with each server. */
export class Sessions {
  readonly #tickets = new Map<string, Ticket>();

  /** Removes a session and returns it: if its resumption fails, the next attempt does a full handshake. */
  take(server: string): Ticket | undefined {
    const ticket = this.#tickets.get(server);
    this.#tickets.delete(server);
    return ticket === undefined || ticket.validUntil <= Date.now() ? undefined : ticket;
  }

  /** Stores a session with a verified server and replaces the previous one. */
  store(server: string, ticket: Ticket): void {
    this.#tickets.delete(server);
    this.#tickets.set(server, ticket);
    for (const oldest of this.#tickets.keys()) {
      if (this.#tickets.size <= MAX_SERVERS) break;
      this.#tickets.delete(oldest);
    }
  }
}
