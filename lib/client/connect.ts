import { Client } from './client.ts';
import type { ClientOptions } from './config/client-options.ts';
import type { ServerUrl } from './config/endpoints.ts';

/** `new Client(url, options)` and `connect()`: resolves with a client that is connected. */
export async function connect<UserData = undefined>(
  url: ServerUrl,
  options?: ClientOptions<UserData>,
): Promise<Client<UserData>> {
  const client = new Client(url, options);
  await client.connect();
  return client;
}
