import { Client } from './client.ts';
import type { ClientOptions } from './config/client-options.ts';
import type { ServerUrl } from './config/endpoints.ts';

/** Makes a `Client` and connects it. Resolves with the connected client. */
export async function connect<UserData = undefined>(
  url: ServerUrl,
  options?: ClientOptions<UserData>,
): Promise<Client<UserData>> {
  const client = new Client(url, options);
  await client.connect();
  return client;
}
