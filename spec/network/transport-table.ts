import type { ClientOptions } from '../../lib/index.ts';
import type { Certificates } from '../support/certificates.ts';
import { type Mosquitto } from '../support/mosquitto.ts';
import { freePort } from '../support/ports.ts';
import { mosquitto } from './actors.ts';

export const SCHEMES = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
export type Scheme = (typeof SCHEMES)[number];

/** A broker with a listener for each transport. */
export interface Crossroads {
  readonly broker: Mosquitto;
  readonly ports: Readonly<Record<Scheme, number>>;
  /** Client options for all transports. */
  readonly options: ClientOptions;
}

/** Starts one; `more` are further lines of its configuration. */
export async function serversOfEachTransport(
  certificate: Certificates,
  more: readonly string[] = [],
): Promise<Crossroads> {
  const [mqtts, ws, wss] = await Promise.all([freePort(), freePort(), freePort()]);
  const tls = [`certfile ${certificate.file('server.pem')}`, `keyfile ${certificate.file('server.key')}`];
  const broker = await mosquitto({
    config: [
      `listener ${mqtts} 127.0.0.1`,
      ...tls,
      `listener ${ws} 127.0.0.1`,
      'protocol websockets',
      `listener ${wss} 127.0.0.1`,
      'protocol websockets',
      ...tls,
      ...more,
    ],
  });
  return {
    broker,
    ports: { mqtt: broker.port, mqtts, ws, wss },
    options: { tls: { caFile: certificate.file('ca.pem') } },
  };
}

/** Client options for one transport. */
export const optionsOf = ({ options }: Crossroads, scheme: Scheme): ClientOptions =>
  scheme === 'mqtts' || scheme === 'wss' ? options : {};
