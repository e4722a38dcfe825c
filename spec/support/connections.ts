import { Connection } from '../../lib/connection/connection.ts';
import type { ConnectIdentity, ConnectSettings } from '../../lib/connection/negotiated.ts';
import { SLAB_SIZE } from '../../lib/connection/outbox.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { ENGINE_DEFAULTS } from './engine-options.ts';

/** A connection at the time `now`, with nothing sent or received. */
export function newConnection(
  settings: Partial<ConnectSettings> = {},
  identity: Partial<ConnectIdentity> = {},
  now = 0,
): Connection {
  return new Connection(
    {
      connectionNumber: 1,
      settings: { ...ENGINE_DEFAULTS, ...settings },
      identity: { clientId: 'c', cleanStart: true, ...identity },
      traffic: new Traffic(),
      slabs: { take: () => new Uint8Array(SLAB_SIZE) },
      allocate: (size) => new Uint8Array(size),
    },
    now,
  );
}
