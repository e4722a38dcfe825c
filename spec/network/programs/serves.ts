/**
 * serves URL NAME: serves in persistent sessions, shared: `calc/5` on 5.0, and `calc/4` on 3.1.1 by the convention for
 * topics. Prints a line when it is ready, and one for each reply.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Client, type ClientOptions, type ServeOptions } from '../../../lib/index.ts';

const [url = '', name = ''] = process.argv.slice(2);

/** Begins to serve. The returned function runs until the service ends. */
async function serve(
  topic: string,
  version: ClientOptions,
  options: ServeOptions,
): Promise<() => Promise<void>> {
  const client = new Client(url, {
    ...version,
    clientId: `${name} of ${topic}`,
    cleanStart: false,
    // It takes few at a time, so that the others get their share.
    receiveMaximum: 8,
  });
  await client.connect();
  const service = await client.serve(topic, { ...options, qos: 1, share: 'calc' });
  return () =>
    service.forEach(
      async (request) => {
        await pause(5);
        console.log('served');
        return Number(request.text()) ** 2;
      },
      { concurrency: 4 },
    );
}

const services = await Promise.all([
  serve('calc/5', { protocolVersion: 5, sessionExpiryInterval: 600 }, {}),
  serve('calc/4', { protocolVersion: 4 }, { convention: 'topic' }),
]);
console.log('ready');
await Promise.all(services.map((run) => run()));
