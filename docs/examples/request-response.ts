/**
 * docs/request-response.md: a service and its requesters. On 3.1.1 with the convention for topics; on 5.0 if Mosquitto is
 * installed, or with the URL of a 5.0 broker as argument.
 */
import {
  connect,
  RequestError,
  TimeoutError,
  type Client,
  type RequestOptions,
  type ServeOptions,
} from '../../lib/index.ts';
import { startBroker, startMosquitto } from './broker.ts';

/** Adds numbers, until the client ends. */
async function serveAdd(client: Client, options: ServeOptions): Promise<void> {
  const service = await client.serve('calc/add', { qos: 1, ...options });
  void service.forEach(
    (request) => {
      const numbers = request.json<number[]>();
      if (numbers.length > 100) throw new RequestError('too-many', 'at most 100 numbers');
      return numbers.reduce((sum, one) => sum + one, 0); // the reply
    },
    { concurrency: 8 },
  );
}

/** The same as a loop, which decides by itself when it replies. */
async function serveSlow(client: Client, options: ServeOptions): Promise<void> {
  const service = await client.serve('calc/slow', { qos: 1, ...options });
  for await (const request of service) {
    if (request.expired) continue; // the requester has given up
    if (request.text() === '') await request.fail('empty', 'nothing to do');
    else await request.reply(request.text().toUpperCase());
  } // the request is acknowledged when its reply was
}

async function main(url: string, protocolVersion: 4 | 5): Promise<void> {
  const convention: Pick<RequestOptions, 'convention'> = protocolVersion === 5 ? {} : { convention: 'topic' };
  await using worker = await connect(url, { protocolVersion });
  await using client = await connect(url, { protocolVersion });
  await serveAdd(worker, convention);
  const slow = serveSlow(worker, convention);

  const sum = await client.request('calc/add', '[1,2]', { qos: 1, timeout: 5_000, ...convention });
  console.log(`the sum is ${sum.text()}`);

  try {
    await client.request('calc/slow', '', { qos: 1, ...convention });
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    console.log(`${error.code}: ${error.message}, remote: ${error.remote}`);
  }
  const numbers = JSON.stringify(Array.from({ length: 101 }, () => 1));
  await client
    .request('calc/add', numbers, { qos: 1, ...convention })
    .catch((error: RequestError) => console.log(`${error.code}: ${error.message}`));

  // Nobody is there. On 5.0 the server says so at once, if the request has QoS 1 or 2.
  await client
    .request('calc/divide', '[1,2]', { qos: 1, timeout: 200, ...convention })
    .catch((error: unknown) => {
      if (error instanceof RequestError || error instanceof TimeoutError)
        console.log(`divide: ${error.code}`);
      else throw error;
    });

  // As many replies as come.
  for (const name of ['north', 'south'])
    void (await worker.serve('fleet/who', { qos: 1, ...convention })).forEach(() => name);
  const until = { stall: 300, count: 2 };
  const names: string[] = [];
  for await (const reply of client.requestMany('fleet/who', null, {
    qos: 1,
    until,
    timeout: 2_000,
    ...convention,
  }))
    names.push(reply.text());
  console.log(`in the fleet: ${names.toSorted().join(', ')}`);
  console.log(client.stats().requests);

  await worker.drain();
  await slow;
}

{
  await using broker = await startBroker();
  await main(broker.url, 4);
}
const given = process.argv[2];
const mosquitto = given === undefined ? await startMosquitto() : undefined;
const url = given ?? mosquitto?.url;
if (url === undefined) console.log('5.0 skipped: Mosquitto is not installed (apt-get install mosquitto)');
else {
  try {
    await main(url, 5);
  } finally {
    await mosquitto?.stop();
  }
}
