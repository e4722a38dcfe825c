/** What `stats()` tells about requests. */
export interface RequestCounts {
  /** Requests of this client that wait for a reply. */
  readonly pending: number;
  /** Replies that no request waited for: late ones, second ones, and those to somebody else. */
  readonly unexpected: number;
  /** Messages that a service did not hand out, as they cannot be answered: see `serve()`. */
  readonly refused: number;
  /** Requests that came again to a service, and were not handed out again. */
  readonly repeated: number;
}

/** The counters of one client. */
export class RequestCounters {
  unexpected = 0;
  refused = 0;
  repeated = 0;
}

export const NO_REQUESTS: RequestCounts = Object.freeze({
  pending: 0,
  unexpected: 0,
  refused: 0,
  repeated: 0,
});
