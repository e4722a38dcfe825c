/**
 * counts-steps URL COUNT: subscribes to COUNT Topic Filters in several ways, and unsubscribes. Prints how many elements
 * were visited: `in one call: subscribed STEPS, unsubscribed STEPS`. A separate process, as counting slows it down.
 */
import { connect, type Client } from '../../../lib/index.ts';
import { stepsOf } from '../../support/steps.ts';

const [url = '', count = ''] = process.argv.slice(2);
const filters = Array.from({ length: Number(count) }, (_, n) => `many/${n}`);

const WAYS: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
  'in one call': (client) => client.subscribe(filters),
  'in many calls': (client) => Promise.all(filters.map((filter) => client.subscribe(filter))),
  'to one filter': (client) => Promise.all(filters.map(() => client.subscribe('many/0'))),
};

for (const [way, subscribe] of Object.entries(WAYS)) {
  const client = await connect(url, { maxFiltersPerPacket: 8 });
  const subscribed = await stepsOf(() => subscribe(client));
  const unsubscribed = await stepsOf(() => client.unsubscribe(filters));
  console.log(`${way}: subscribed ${subscribed}, unsubscribed ${unsubscribed}`);
  await client.disconnect();
}
