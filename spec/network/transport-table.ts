import type { ClientOptions } from '../../lib/index.ts';
import type { Certificates } from '../support/certificates.ts';
import { type Mosquitto } from '../support/mosquitto.ts';
import { freePort } from '../support/ports.ts';
import { sharedMosquitto } from './actors.ts';

export const SCHEMES = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
export type Scheme = (typeof SCHEMES)[number];

/** A broker with a listener for each transport. */
export interface Crossroads {
  readonly broker: Mosquitto;
  readonly ports: Readonly<Record<Scheme, number>>;
  /** Client options for all transports. */
  readonly options: ClientOptions;
}

/**
 * Starts one for all specs of a `describe`, which must not use the same topics or Client Identifiers; `more` are further lines of
 * its configuration.
 */
export function serversOfEachTransport(
  made: () => Promise<Certificates>,
  more: () => readonly string[] = () => [],
): () => Crossroads {
  const ports = { mqtt: 0, mqtts: 0, ws: 0, wss: 0 };
  let caFile = '';
  const broker = sharedMosquitto(async () => {
    const certificate = await made();
    caFile = certificate.file('ca.pem');
    for (const scheme of ['mqtts', 'ws', 'wss'] as const) ports[scheme] = await freePort();
    const tls = [`certfile ${certificate.file('server.pem')}`, `keyfile ${certificate.file('server.key')}`];
    return [
      `listener ${ports.mqtts} 127.0.0.1`,
      ...tls,
      `listener ${ports.ws} 127.0.0.1`,
      'protocol websockets',
      `listener ${ports.wss} 127.0.0.1`,
      'protocol websockets',
      ...tls,
      ...more(),
    ];
  });
  return () => ({
    broker: broker(),
    ports: { ...ports, mqtt: broker().port },
    options: { tls: { caFile } },
  });
}

/** Client options for one transport. */
export const optionsOf = ({ options }: Crossroads, scheme: Scheme): ClientOptions =>
  scheme === 'mqtts' || scheme === 'wss' ? options : {};
