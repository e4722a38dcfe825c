export { connect } from './client/connect.ts';
export { Client, type DisconnectOptions, type MqttClient } from './client/client.ts';
export type { ClientOptions, ReconnectOptions, ReconnectPolicy } from './client/options.ts';
export type { Askable, IdentityOptions } from './client/asking.ts';
export type { Credentials, OtherConnectProperties, Will } from './client/identity.ts';
export type { ServerUrl } from './client/servers.ts';
export type { BatchesOptions } from './client/batches.ts';
export type { BufferLimits, Overflow } from './client/buffer.ts';
export type { CallOptions } from './client/calls.ts';
export type { ConfigurableOptions } from './client/configuring.ts';
export type { ConnectOptions } from './client/connecting.ts';
export type { DrainReport } from './client/draining.ts';
export type { PublishResult } from './client/exchanges.ts';
export type { ForEachOptions } from './client/for-each.ts';
export type { Message } from './client/message-api.ts';
export type { Logger } from './client/log.ts';
export type { Payload } from './client/payload.ts';
export type { Publication, PublishManyOptions, PublishOutcome } from './client/publish-many.ts';
export type { PublishOptions } from './client/publishing.ts';
export type { ClientStats } from './client/stats.ts';
export type { Connack, StatusEvent } from './client/status.ts';
export type { FilterOptions, SubscribeOptions, UnsubscribeResult } from './client/subscribing.ts';
export type { AckMode } from './client/subscription.ts';
export type { Subscribing, Subscription } from './client/subscription-api.ts';
export type {
  AckProperties,
  ConnackProperties,
  ProtocolVersion,
  PublishProperties,
  QoS,
  UserProperties,
  WillProperties,
} from './codec/packets.ts';
export type { RoadOptions } from './client/roads.ts';
export type {
  AttemptContext,
  Headers,
  Pem,
  ProxyOptions,
  SocketOptions,
  TlsOptions,
  WebSocketOptions,
} from './transport/options.ts';
export { transportOver } from './transport/stream.ts';
export type { Dial, Protocol, Receiver, Taken, Target, Transport } from './transport/transport.ts';
export type { RetryContext } from './engine/backoff.ts';
export type { Negotiated } from './connection/handshake.ts';
export type { ClientState } from './engine/states.ts';
export {
  ClosedError,
  ConnectError,
  ConnectionLostError,
  isPublishFailure,
  MqttError,
  PoisonedMessageError,
  ProtocolError,
  PublishError,
  QueueFullError,
  SubscribeError,
  TimeoutError,
  UnsubscribeError,
  type ConnectErrorOptions,
  type ConnectionLostErrorOptions,
  type ConnectPhase,
  type Delivery,
  type FilterResult,
  type MessageFate,
  type MqttErrorCode,
  type PublishFailure,
} from './errors.ts';
