/** The road by the scheme of the URL. What a road takes is loaded when it is taken. */

import { StreamTransport } from './stream.ts';
import { dialTcp, openSocket } from './tcp.ts';
import type { OpenTransport } from './transport.ts';

export const openTransport: OpenTransport = async (dialOptions, signal, context) => {
  const tls =
    dialOptions.protocol === 'mqtts' || dialOptions.protocol === 'wss' ? await import('./tls.ts') : undefined;
  const ws =
    dialOptions.protocol === 'ws' || dialOptions.protocol === 'wss'
      ? await import('./websocket.ts')
      : undefined;
  const proxy = dialOptions.proxy === undefined ? undefined : await import('./proxy.ts');
  // From here on somebody has a socket: whoever has it destroys it where the attempt ends.
  const tunnel = await proxy?.openTunnel(dialOptions, signal, context);
  if (ws !== undefined) {
    const stream =
      tls === undefined
        ? (tunnel ?? (await openSocket(dialOptions, signal)))
        : await tls.openTls(dialOptions, signal, context, tunnel);
    return ws.dialWebSocket(dialOptions, signal, context, stream, tls?.explainerOf(stream));
  }
  if (tls !== undefined) return tls.dialTls(dialOptions, signal, context, tunnel);
  return tunnel === undefined ? dialTcp(dialOptions, signal) : new StreamTransport(tunnel);
};
