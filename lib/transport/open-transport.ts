/** The road by the scheme of the URL. What a road takes is loaded when it is taken. */

import { StreamTransport } from './stream.ts';
import { dialTcp, openSocket } from './tcp.ts';
import type { RoadDial } from './transport.ts';

export const dial: RoadDial = async (road, signal, passage) => {
  const tls = road.protocol === 'mqtts' || road.protocol === 'wss' ? await import('./tls.ts') : undefined;
  const ws = road.protocol === 'ws' || road.protocol === 'wss' ? await import('./websocket.ts') : undefined;
  const proxy = road.proxy === undefined ? undefined : await import('./proxy.ts');
  // From here on somebody has a socket: whoever has it destroys it where the attempt ends.
  const tunnel = await proxy?.openTunnel(road, signal, passage);
  if (ws !== undefined) {
    const stream =
      tls === undefined
        ? (tunnel ?? (await openSocket(road, signal)))
        : await tls.openTls(road, signal, passage, tunnel);
    return ws.dialWebSocket(road, signal, passage, stream, tls?.explainerOf(stream));
  }
  if (tls !== undefined) return tls.dialTls(road, signal, passage, tunnel);
  return tunnel === undefined ? dialTcp(road, signal) : new StreamTransport(tunnel);
};
