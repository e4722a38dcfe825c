/** Serves `calc/square` in a persistent session, shared. Prints a line when it is ready, and one for each reply. */
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from '../../../lib/index.ts';

const [url = '', clientId = '', version = '5', convention] = process.argv.slice(2);

const client = new Client(url, {
  clientId,
  cleanStart: false,
  ...(version === '5' ? { protocolVersion: 5, sessionExpiryInterval: 600 } : { protocolVersion: 4 }),
  // It takes few at a time, so that the others get their share.
  receiveMaximum: 8,
});
await client.connect();
const service = await client.serve('calc/square', {
  qos: 1,
  share: 'calc',
  ...(convention === 'topic' && { convention }),
});
console.log('ready');
await service.forEach(
  async (request) => {
    await pause(5);
    console.log('served');
    return Number(request.text()) ** 2;
  },
  { concurrency: 4 },
);
