/** publishes-and-disconnects URL: the smallest program. Nothing in it ends the process. */
import { connect } from '../../../lib/index.ts';

const client = await connect(process.argv[2] ?? '');
await client.publish('spec/ending', 'published', { qos: 1 });
await client.disconnect();
console.log('done');
