/** TLS sessions that can be resumed, which makes the next handshake with the same server shorter (RFC 8446, 2.2). */

import type { PeerCertificate } from 'node:tls';

/** Servers whose sessions are kept: the one that was connected to longest ago goes first. */
const SERVERS = 16;

/** How a server was verified. */
export interface Verified {
  readonly certificate: PeerCertificate;
  /** Until when that and those above it are valid, in ms since 1970. */
  readonly validUntil: number;
}

/** A session. A server that resumes it sends no certificates: the last ones stand. */
export interface Ticket extends Verified {
  readonly session: Buffer;
}

/** The last session with each of a few servers. */
export class Sessions {
  readonly #tickets = new Map<string, Ticket>();

  /** Takes a session out: where the attempt to resume it fails, the next one begins afresh. */
  take(server: string): Ticket | undefined {
    const ticket = this.#tickets.get(server);
    this.#tickets.delete(server);
    return ticket === undefined || ticket.validUntil <= Date.now() ? undefined : ticket;
  }

  /** Keeps a session with a server that was verified, in place of the one before. */
  keep(server: string, ticket: Ticket): void {
    this.#tickets.delete(server);
    this.#tickets.set(server, ticket);
    for (const oldest of this.#tickets.keys()) {
      if (this.#tickets.size <= SERVERS) break;
      this.#tickets.delete(oldest);
    }
  }
}
