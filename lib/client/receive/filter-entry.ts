import type { SubscriptionRequest } from '../../codec/packets.ts';

/** One Topic Filter of a subscription with its options. */
export interface FilterEntry extends SubscriptionRequest {
  /** The filter that Topic Names match, if the server delivers other ones than it was asked for. */
  readonly deliveredAs?: string | undefined;
  /** `local`: the server has the subscription by itself, so it is neither asked for nor ended. @default "client" */
  readonly madeBy?: 'client' | 'server' | undefined;
}
