/**
 * counts-steps URL WHAT COUNT: subscribes to COUNT Topic Filters in the given way, and unsubscribes. Prints how many
 * elements were visited: `subscribed STEPS`, `unsubscribed STEPS`. A separate process, as counting slows it down.
 */
import { connect, type Client } from '../../../lib/index.ts';
import { stepsOf } from '../../support/steps.ts';

const [url = '', what = '', count = ''] = process.argv.slice(2);
const filters = Array.from({ length: Number(count) }, (_, n) => `many/${n}`);

const WAYS: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
  'in one call': (client) => client.subscribe(filters),
  'in many calls': (client) => Promise.all(filters.map((filter) => client.subscribe(filter))),
  'to one filter': (client) => Promise.all(filters.map(() => client.subscribe('many/0'))),
};

const client = await connect(url, { maxFiltersPerPacket: 8 });
const subscribe = WAYS[what];
if (subscribe === undefined) throw new Error(`expected one of ${Object.keys(WAYS).join(', ')}, got ${what}`);
console.log(`subscribed ${await stepsOf(() => subscribe(client))}`);
console.log(`unsubscribed ${await stepsOf(() => client.unsubscribe(filters))}`);
await client.disconnect();
