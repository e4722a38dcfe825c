/** Selects the transport by the scheme of the URL. Code for TLS, WebSocket and proxies is loaded when it is needed. */

import { StreamTransport } from './stream.ts';
import { dialTcp, openSocket } from './tcp.ts';
import type { OpenTransport } from './transport.ts';

export const openTransport: OpenTransport = async (dialOptions, context) => {
  const { protocol } = dialOptions;
  const tls = protocol === 'mqtts' || protocol === 'wss' ? await import('./tls.ts') : undefined;
  const ws = protocol === 'ws' || protocol === 'wss' ? await import('./websocket.ts') : undefined;
  const proxy = dialOptions.proxy === undefined ? undefined : await import('./proxy.ts');
  // From here on there is an open socket. Each function below destroys it if it fails.
  const tunnel = await proxy?.openTunnel(dialOptions, context);
  if (ws !== undefined) {
    const stream =
      tls === undefined
        ? (tunnel ?? (await openSocket(dialOptions, context.signal)))
        : await tls.openTls(dialOptions, context, tunnel);
    return ws.dialWebSocket(dialOptions, context, stream, tls?.explainerOf(stream));
  }
  if (tls !== undefined) return tls.dialTls(dialOptions, context, tunnel);
  return tunnel === undefined ? dialTcp(dialOptions, context.signal) : new StreamTransport(tunnel);
};
