/** How much of a stored session is read, written and kept in memory together. */
export interface StoreSizes {
  /** Messages of a segment, and bytes of them, unless one message is larger. */
  readonly segmentMessages: number;
  readonly segmentBytes: number;
  /** Messages, and bytes of them, that are kept in memory ahead of the network. */
  readonly pageMessages: number;
  readonly pageBytes: number;
  /** Segments that are read at a time, and other records. */
  readonly segmentsPerRead: number;
  readonly recordsPerRead: number;
  /** Segments with changes that are written together. From this many on, the commit does not wait for more. */
  readonly segmentsPerCommit: number;
}

/**
 * ms for which changes wait that nothing waits for, such as acknowledgements. A commit costs as much with one of them as
 * with a thousand, and mostly a commit with messages comes first and takes them along. A process that dies meanwhile has
 * messages sent again, those of QoS 1 without DUP.
 */
export const COMMIT_DELAY = 5;

export const STORE_SIZES: StoreSizes = {
  segmentMessages: 1_024,
  segmentBytes: 262_144,
  pageMessages: 4_096,
  pageBytes: 4_194_304,
  segmentsPerRead: 16,
  recordsPerRead: 256,
  segmentsPerCommit: 64,
};
