import type { Client } from '../../../lib/client/client.ts';
import type { ClientOptions } from '../../../lib/client/config/client-options.ts';
import type { ServeOptions, Service } from '../../../lib/client/request/service.ts';
import type { PublishPacket, PublishProperties, QoS } from '../../../lib/codec/packets.ts';
import { bytes, Stage } from '../../scenarios/stage.ts';
import type { ScriptedBroker } from '../../support/scripted-broker.ts';
import { grant, V5 } from './request-rig.ts';

/** What a request has; `topic` and `text` have defaults. */
export interface RequestFields extends PublishProperties {
  readonly topic?: string;
  readonly text?: string;
  /** With it, QoS 1. */
  readonly packetId?: number;
  readonly qos?: QoS;
  readonly retain?: boolean;
}

/** A service on a scripted broker. */
export class ServiceRig {
  readonly stage: Stage = new Stage();
  client!: Client;
  broker!: ScriptedBroker;
  service!: Service;

  static async make(
    serve: ServeOptions = {},
    { topicFilter = 'calc/+', ...options }: ClientOptions & { readonly topicFilter?: string } = {},
  ): Promise<ServiceRig> {
    const rig = new ServiceRig();
    const { client, broker } = await rig.stage.online({ ...V5, keepAlive: 0, ...options });
    rig.client = client;
    rig.broker = broker;
    const serving = client.serve(topicFilter, serve);
    await grant(broker);
    rig.service = await rig.stage.until(serving);
    return rig;
  }

  /** A request arrives, with Response Topic and Correlation Data unless `fields` say otherwise. */
  async request(fields: RequestFields = {}): Promise<void> {
    const { topic = 'calc/add', text = '[1,2]', packetId, qos, retain = false, ...properties } = fields;
    const has5 = this.broker.protocolVersion === 5;
    this.broker.send({
      type: 'publish',
      topic,
      payload: bytes(text),
      retain,
      ...(packetId !== undefined && { packetId, qos: qos ?? 1 }),
      ...(has5 && {
        properties: { responseTopic: 'replies', correlationData: Uint8Array.of(1, 2), ...properties },
      }),
    });
    await this.settle();
  }

  /** The next reply, which is acknowledged. */
  async reply(): Promise<PublishPacket> {
    const publish = await this.broker.expect('publish');
    this.ack(publish);
    await this.settle();
    return publish;
  }

  ack({ packetId }: PublishPacket): void {
    if (packetId !== undefined) this.broker.send({ type: 'puback', packetId });
  }

  async settle(): Promise<void> {
    await this.stage.clock.advance(0);
  }

  async end(): Promise<void> {
    await this.stage.end(this.client, this.broker);
  }
}

export const textIn = ({ payload }: PublishPacket): string => new TextDecoder().decode(payload);
