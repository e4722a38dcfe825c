/** breaks-off URL: throws while a loop runs, as a faulty program does. */
import { connect } from '../../../lib/index.ts';

await using client = await connect(process.argv[2] ?? '');
const subscription = await client.subscribe('spec/ending', { qos: 1 });
await client.publish('spec/ending', 'published', { qos: 1 });
for await (const message of subscription) throw new Error(`a mistake with ${message.text()}`);
