/** Clients that are connected and do nothing. */
import { setTimeout as pause } from 'node:timers/promises';
import { heldBytes } from './measure.ts';
import { connectPeer } from './throughput.ts';
import type { Peer } from './peer.ts';
import { topicOf, type Figures, type Task } from './task.ts';

/** ms until memory is measured, so that it does not include the storm of the connects. */
const SETTLE = 500;

export async function idle({ url, ca, contender, workload, count }: Task): Promise<Figures> {
  // The code is loaded and compiled before.
  await (await connectPeer({ url, ca, contender, workload, topics: [topicOf(0)] })).end();
  let peers: readonly Peer[] = [];
  const figures = await heldBytes(
    count,
    async () => {
      const connects = Array.from({ length: count }, () =>
        connectPeer({ url, ca, contender, workload, topics: [topicOf(0)] }),
      );
      peers = await Promise.all(connects);
    },
    () => pause(SETTLE),
  );
  await Promise.all(peers.map((peer) => peer.end()));
  return figures;
}
