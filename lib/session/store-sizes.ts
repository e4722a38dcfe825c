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
}

export const STORE_SIZES: StoreSizes = {
  segmentMessages: 1_024,
  segmentBytes: 262_144,
  pageMessages: 4_096,
  pageBytes: 4_194_304,
  segmentsPerRead: 16,
  recordsPerRead: 256,
};
