import type { PublishPacket, PublishProperties } from '../../../lib/codec/packets.ts';
import type { Client } from '../../../lib/client/client.ts';
import type { Message } from '../../../lib/client/receive/message.ts';
import type { RequestOptions } from '../../../lib/client/request/request-options.ts';
import { bytes, type Outcome, watch } from '../../scenarios/stage.ts';
import type { ScriptedBroker } from '../../support/scripted-broker.ts';

export const V5 = { protocolVersion: 5, clientId: 'me' } as const;

/** Grants the next SUBSCRIBE as asked. Returns its Topic Filter. */
export async function grant(broker: ScriptedBroker): Promise<string> {
  const { packetId, subscriptions } = await broker.expect('subscribe');
  broker.send({ type: 'suback', packetId, reasonCodes: subscriptions.map(({ qos }) => qos) });
  return subscriptions[0]?.topicFilter as string;
}

/** Publishes the reply to a request, as any service would. */
export function reply(
  broker: ScriptedBroker,
  { properties }: Pick<PublishPacket, 'properties'>,
  text: string,
  { packetId, ...others }: PublishProperties & { readonly packetId?: number } = {},
): void {
  const { responseTopic = 'none', correlationData } = properties;
  broker.send({
    type: 'publish',
    topic: responseTopic,
    payload: bytes(text),
    ...(packetId !== undefined && { packetId, qos: 1 as const }),
    properties: { ...(correlationData !== undefined && { correlationData }), ...others },
  });
}

/** Calls `request()`, with the subscription to replies granted. Returns its PUBLISH, and how the call stands. */
export async function requested(
  client: Client<unknown>,
  broker: ScriptedBroker,
  options: RequestOptions = {},
): Promise<{
  readonly publish: PublishPacket;
  readonly outcome: () => Outcome;
  readonly promise: Promise<Message>;
}> {
  const promise = client.request('calc/add', '[1,2]', options);
  const outcome = watch(promise);
  await grant(broker);
  return { publish: await broker.expect('publish'), outcome, promise };
}

/** The text of the reply that a call resolved with. */
export function textOf(outcome: Outcome): string | undefined {
  const { value } = Object(outcome) as { value?: Message };
  return value?.text();
}
