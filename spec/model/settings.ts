import type { Setting } from './world.ts';

/** Small limits, so that every limit is reached. */
const common = {
  clientId: 'model',
  keepAlive: 10,
  reconnect: { minDelay: 100, maxDelay: 800, jitter: 0 },
  ackStallTimeout: 3_000,
  requestTimeout: 60_000,
  connectTimeout: 5_000,
  receiveMaximum: 8,
  receiveBuffer: 20_000,
  maxInflight: 3,
} as const;

/** The kinds of client and server that are tested. */
export const settings: readonly Setting[] = [
  {
    name: '5.0, a session to keep, Topic Aliases',
    client: {
      ...common,
      protocolVersion: 5,
      cleanStart: false,
      sessionExpiryInterval: 3_600,
      maxQueued: 12,
      topicAlias: 'auto',
    },
    server: { receiveMaximum: 2, topicAliasMaximum: 2 },
  },
  {
    name: '3.1.1, a session to keep, messages retried',
    client: { ...common, protocolVersion: 4, cleanStart: false, messageRetry: 1_500 },
    server: { ignoresWindow: true },
  },
  {
    name: '3.1.1, a session to keep, exchanges watched',
    client: { ...common, protocolVersion: 4, cleanStart: false, messageRetry: 0, ackTimeout: 2_500 },
    server: { sendWindow: 6, inherited: true },
  },
  {
    name: '5.0, a session that ends with the connection',
    client: {
      ...common,
      protocolVersion: 5,
      onSessionLost: 'reject',
      receiveMaximum: 5,
      maxQueued: 10,
      onQueueFull: 'drop-oldest',
    },
    server: { ignoresWindow: true },
  },
  {
    name: '3.1.1, a session that ends with the connection',
    client: { ...common, protocolVersion: 4, maxInflight: 2, receiveMaximum: 5 },
    server: { sendWindow: 10 },
  },
  {
    name: '5.0, a session in a store',
    client: {
      ...common,
      protocolVersion: 5,
      cleanStart: false,
      sessionExpiryInterval: 3_600,
      maxQueued: 30,
      topicAlias: 'auto',
    },
    server: { receiveMaximum: 3, topicAliasMaximum: 2 },
    store: 'a store in memory',
  },
  {
    name: '3.1.1, a session in a store',
    client: { ...common, protocolVersion: 4, cleanStart: false, messageRetry: 0 },
    server: { sendWindow: 6 },
    store: 'a store in memory',
  },
];
