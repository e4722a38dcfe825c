/** Counters over all Network Connections of a client. */
export class Traffic {
  bytesSent = 0;
  bytesReceived = 0;
  packetsSent = 0;
  packetsReceived = 0;
  /** Messages that the server sent beyond Receive Maximum (5.0). */
  beyondReceiveMaximum = 0;
  /** Published messages that were acknowledged. */
  answered = 0;
  /** Time from the last packet of each to its acknowledgement, in ms: the sum, and the longest. */
  roundTrips = 0;
  longestRoundTrip = 0;

  /** hot: a message was acknowledged `ms` after its last packet. */
  answeredAfter(ms: number): void {
    this.answered++;
    this.roundTrips += ms;
    if (ms > this.longestRoundTrip) this.longestRoundTrip = ms;
  }
}
