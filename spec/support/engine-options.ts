import { Traffic } from '../../lib/connection/traffic.ts';
import { portableText } from '../../lib/codec/text.ts';
import { SLAB_SIZE } from '../../lib/connection/outbox.ts';
import type { EngineOptions, EnginePorts } from '../../lib/engine/options.ts';

/** Default engine options in specs: no timers except those for connecting. */
export const ENGINE_DEFAULTS: EngineOptions = {
  protocolVersion: 5,
  clientId: 'c',
  cleanStart: true,
  sessionExpiryInterval: 0,
  keepAlive: 0,
  will: undefined,
  receiveMaximum: 1024,
  maximumPacketSize: undefined,
  properties: {},
  maxInflight: 20,
  topicAlias: 'off',
  queueLimits: { messages: 0, bytes: 0 },
  onQueueFull: 'reject',
  queueQos0Offline: true,
  onSessionLost: 'resend',
  storeQos0: false,
  messageRetry: 0,
  ackTimeout: 0,
  requestTimeout: 30_000,
  connectTimeout: 30_000,
  pingTimeout: undefined,
  reconnect: { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0 },
  maxFiltersPerPacket: 0,
  resubscribe: true,
  receiveBuffer: 67_108_864,
  ackStallTimeout: 30_000,
  persistent: true,
};

/** Platform of an engine in specs, with separate memory each time. */
export function enginePorts(random: () => number): EnginePorts {
  return {
    text: portableText,
    slabs: { take: () => new Uint8Array(SLAB_SIZE) },
    allocate: (size) => new Uint8Array(size),
    traffic: new Traffic(),
    buffers: { full: 0, bytes: 0 },
    random,
  };
}
