/** docs/errors.md: every call rejects, nothing is thrown anywhere else; publish and forget. */
import {
  Client,
  ClosedError,
  connect,
  isPublishFailure,
  PublishError,
  TimeoutError,
  type Payload,
} from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();
await using client = await connect(broker.url);

/** The fate of a message, in words. */
function fateOf(error: unknown): string {
  if (!isPublishFailure(error)) return String(error); // wrong arguments, or the reason of a signal
  if (error instanceof PublishError) return `refused with 0x${error.reasonCode.toString(16)}`;
  return `${error.code}: ${error.delivery}, ${error.kept ? 'still goes out' : 'not kept'}`;
}

/** Publish and forget: a promise that nobody awaits must have a catch, or Node ends the process. */
function send(topicName: string, payload: Payload): void {
  client.publish(topicName, payload, { qos: 1 }).catch((error: unknown) => {
    console.log(`not delivered: ${fateOf(error)}`);
  });
}
send('errors/fine', 'this one arrives');

// Wrong arguments reject, too.
await client
  .publish('errors/#', 'a wildcard is no Topic Name')
  .catch((error: unknown) => console.log(String(error)));

// Aborting rejects with the reason of the signal.
const offline = new Client('mqtt://127.0.0.1:9');
const signal = AbortSignal.timeout(20);
await offline.publish('errors/late', 'x', { qos: 1, signal }).catch((error: unknown) => {
  console.log(`aborted: ${error === signal.reason}`);
});

// A timeout says what is known of the message.
await offline
  .publish('errors/late', 'x', { qos: 1, timeout: 20 })
  .catch((error: unknown) => console.log(fateOf(error)));

// One that was written goes on without its caller.
async function report(topicName: string, payload: Payload): Promise<'delivered' | 'on its way'> {
  try {
    await client.publish(topicName, payload, { qos: 1, timeout: 5_000 });
    return 'delivered';
  } catch (error) {
    if (error instanceof TimeoutError && error.kept === true) return 'on its way';
    throw error;
  }
}
console.log(await report('errors/report', 'ready'));

// And so does the end of the client.
const pending = offline
  .publish('errors/late', 'x', { qos: 1 })
  .catch((error: unknown) => console.log(fateOf(error)));
await offline.disconnect();
await pending;

// A subscribe() that still waits when the client is disconnected.
const leaving = new Client('mqtt://127.0.0.1:9');
async function listen(topicFilter: string): Promise<void> {
  try {
    const subscription = await leaving.subscribe(topicFilter);
    for await (const message of subscription) console.log(message.text());
  } catch (error) {
    if (!(error instanceof ClosedError)) throw error;
    console.log(`${topicFilter}: the client has ended`);
  }
}
const listening = listen('errors/#');
await leaving.disconnect();
await listening;
