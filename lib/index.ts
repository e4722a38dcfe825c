export { connect } from './client/connect.ts';
export { Client, type DisconnectOptions, type MqttClient } from './client/client.ts';
export type {
  ClientOptions,
  ConfigurableOptions,
  IdentityOptions,
  NetworkOptions,
  ReconnectOptions,
  ReconnectPolicy,
  ValueOrFunction,
} from './client/config/client-options.ts';
export type {
  Authentication,
  AuthenticationContext,
  AuthenticationData,
} from './client/config/authentication.ts';
export type { Credentials, OtherConnectProperties, Will } from './client/config/connect-fields.ts';
export type { ServerUrl } from './client/config/endpoints.ts';
export type { BatchesOptions } from './client/receive/batch-iterator.ts';
export type { BufferLimits, Overflow } from './client/receive/message-buffer.ts';
export type { CallOptions } from './client/runtime/cancellation.ts';
export type { ConnectOptions } from './client/runtime/connect-calls.ts';
export type { DrainReport } from './client/runtime/drain.ts';
export type { PublishResult } from './client/publish/pending-publish.ts';
export type { ForEachOptions } from './client/receive/for-each.ts';
export type { Message } from './client/receive/message.ts';
export type { Logger } from './client/logger.ts';
export type { Payload } from './client/publish/payload.ts';
export type { Publication, PublishManyOptions, PublishOutcome } from './client/publish/publish-many.ts';
export type { PublishOptions } from './client/publish/publish-calls.ts';
export type { ClientStats } from './client/stats.ts';
export type { Connack, StatusEvent } from './client/status.ts';
export type { UnsubscribeResult } from './client/receive/subscribe-calls.ts';
export type {
  FilterOptions,
  SubscribeOptions,
  UnsubscribeOptions,
} from './client/receive/subscribe-options.ts';
export type { AckMode, Subscribing, Subscription } from './client/receive/subscription.ts';
export type { RequestManyOptions, RequestOptions } from './client/request/request-options.ts';
export type { RequestCounts } from './client/request/request-counts.ts';
export type {
  ReplyOptions,
  ReplyResult,
  ServeLoopOptions,
  ServeOptions,
  Service,
  ServiceRequest,
} from './client/request/service.ts';
export type {
  AckProperties,
  ConnackProperties,
  ProtocolVersion,
  PublishProperties,
  QoS,
  UserProperties,
  WillProperties,
} from './codec/packets.ts';
export type {
  AttemptContext,
  HttpHeaders,
  Pem,
  ProxyOptions,
  SocketOptions,
  TlsOptions,
  WebSocketOptions,
} from './transport/options.ts';
export type { SessionStore, StoreChange, StoreRange, StoreRecord } from './store/session-store.ts';
export { transportOver } from './transport/stream.ts';
export type {
  Dial,
  Protocol,
  TransportReceiver,
  Flushed,
  DialTarget,
  Transport,
} from './transport/transport.ts';
export type { RetryContext } from './engine/backoff.ts';
export type { Negotiated } from './connection/negotiated.ts';
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
  RequestError,
  StoreError,
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
  type RequestErrorOptions,
  type ServiceErrorCode,
  type StoreErrorOptions,
} from './errors.ts';
