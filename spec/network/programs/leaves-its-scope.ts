/** leaves-its-scope URL: uses `await using` instead of `disconnect()`, with an open subscription. */
import { connect } from '../../../lib/index.ts';

{
  await using client = await connect(process.argv[2] ?? '');
  const subscription = await client.subscribe('spec/ending');
  await client.publish('spec/ending', 'published', { qos: 1 });
  console.log((await subscription.receive()).text());
}
console.log('done');
