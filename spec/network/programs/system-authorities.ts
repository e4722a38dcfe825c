/** system-authorities URL CAFILE: tries a server whose authority is known to the system and is not in CAFILE. */
import { Client, type TlsOptions } from '../../../lib/index.ts';

const [url = '', caFile = ''] = process.argv.slice(2);

for (const tls of [undefined, { caFile }, { caFile, ca: 'system' }] satisfies (TlsOptions | undefined)[]) {
  const client = new Client(url, tls === undefined ? {} : { tls });
  try {
    await client.connect();
    console.log('believed');
  } catch (error) {
    console.log((error as Error).message);
  }
  await client.disconnect();
}
