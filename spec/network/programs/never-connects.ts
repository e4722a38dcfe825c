/** never-connects URL: there is no server, and the client gives up. */
import { Client } from '../../../lib/index.ts';

const client = new Client(process.argv[2] ?? '');
try {
  await client.connect();
} catch (error) {
  console.log((error as Error).name);
}
