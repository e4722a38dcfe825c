/** A run of one contender in a process of its own: what the runner asks for, and what the process answers. */

export type Over = 'tcp' | 'tls' | 'ws' | 'wss';

/**
 * How a contender is used. `lean`: mqtt-await with one options object for all calls. `base`: mqtt-await of another
 * checkout. `callback`, `promise`: the two styles of MQTT.js. `nodelay`: `callback` with TCP_NODELAY set.
 */
export type Contender = 'ours' | 'lean' | 'base' | 'callback' | 'promise' | 'nodelay' | 'libmosquitto';

export interface Workload {
  readonly direction: 'publish' | 'receive';
  readonly qos: 0 | 1 | 2;
  /** Bytes. */
  readonly payload: number;
  /** Maximum number of unfinished calls of `publish`; 1: each is awaited. */
  readonly window: number;
  /** Number of Topic Names. */
  readonly topics: number;
  /** The order in which the server uses Topic Names. */
  readonly order: 'in-turn' | 'random';
  /** How mqtt-await receives messages. */
  readonly intake: 'loop' | 'batches';
  /** The Topic Filters of the receiver: one for everything, or one per topic with a subscription each. */
  readonly filters: 'one' | 'exact' | 'plus' | 'hash';
  readonly version: 4 | 5;
  /** The store of mqtt-await: none, or on disk, with each commit synced or not. */
  readonly store: 'none' | 'synced' | 'unsynced';
}

export type Job =
  | 'throughput'
  | 'pauses'
  | 'end-to-end'
  | 'ping-pong'
  | 'idle'
  | 'import'
  | 'queued'
  | 'in-flight'
  | 'latest-per-topic'
  | 'kept'
  | 'kept-copies'
  | 'backlog-written'
  | 'backlog-sent';

export interface Task {
  readonly job: Job;
  readonly url: string;
  /** The certificate that verifies the server, with TLS. */
  readonly ca?: string;
  readonly contender: Contender;
  readonly workload: Workload;
  /** Number of messages, turns or clients before the measurement, and in it. */
  readonly warmUp: number;
  readonly count: number;
  /** The directory of the store, if another process uses it, too. */
  readonly directory?: string;
}

/** All figures are per message, turn or client ("item") unless they say otherwise. */
export interface Figures {
  /** CPU seconds of the client process per million items, that is µs per item. */
  readonly cpu?: number;
  /** Items per second. */
  readonly rate?: number;
  /** CPU seconds per 10^9 bytes of payload. */
  readonly perGigabyte?: number;
  /** System calls that write and read, per 1000 items. */
  readonly writes?: number;
  readonly reads?: number;
  /** Peak RSS of the process in MiB. */
  readonly peak?: number;
  /** Median time of an item in µs. */
  readonly p50?: number;
  /** ms for all items. */
  readonly ms?: number;
  /** Bytes that are held for each item: in RSS, on the V8 heap, and in buffers outside of it. */
  readonly rss?: number;
  readonly heap?: number;
  readonly external?: number;
  /** Bytes allocated per item, garbage included: on the V8 heap, and in buffers. */
  readonly allocated?: number;
  readonly buffers?: number;
  /** ms in the garbage collector: the longest pause, and all. */
  readonly longestPause?: number;
  readonly collecting?: number;
  /** Number of modules of Node.js and of packages that were loaded. */
  readonly modules?: number;
  /** CPU seconds of the server per million items. Must be well below `cpu`. */
  readonly server?: number;
}

export type Metric = keyof Figures;

/** A Topic Name. All have the same length. */
export const topicOf = (index: number): string =>
  `site/${String(index).padStart(5, '0')}/line/3/sensor/celsius`;

/** The Topic Filters of a workload. */
export function filtersOf({ filters, topics }: Workload): string[] {
  if (filters === 'one') return ['site/#'];
  return Array.from({ length: topics }, (_, index) => {
    const topic = topicOf(index);
    if (filters === 'exact') return topic;
    return filters === 'plus' ? topic.replace('/line/', '/+/') : topic.replace('line/3/sensor/celsius', '#');
  });
}

/** The messages that a client requests from the null server, in a message to `go`. */
export interface Demand {
  readonly messages: number;
  readonly payload: number;
  readonly qos: 0 | 1 | 2;
  readonly topics: number;
  readonly order: 'in-turn' | 'random';
}
