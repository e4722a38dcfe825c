/** What has gone over all Network Connections of a client: counters, which cost next to nothing while nobody asks. */
export class Traffic {
  bytesSent = 0;
  bytesReceived = 0;
  packetsSent = 0;
  packetsReceived = 0;
  /** Messages that came although Receive Maximum of them were unacknowledged (5.0). */
  beyondReceiveMaximum = 0;
  /** Exchanges that were acknowledged, and the time from our last packet to that, in ms: in all, and at the most. */
  answered = 0;
  roundTrips = 0;
  longestRoundTrip = 0;

  /** An exchange was acknowledged `ms` after our last packet of it. */
  answeredAfter(ms: number): void {
    this.answered++;
    this.roundTrips += ms;
    if (ms > this.longestRoundTrip) this.longestRoundTrip = ms;
  }
}
