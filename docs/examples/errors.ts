/** docs/errors.md: each failure rejects its call and appears nowhere else; publish and forget. */
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

/** Describes what happened to a message. */
function fateOf(error: unknown): string {
  if (!isPublishFailure(error)) return String(error); // wrong arguments, or the reason of a signal
  if (error instanceof PublishError) return `refused with 0x${error.reasonCode.toString(16)}`;
  return `${error.code}: ${error.delivery}, ${error.kept ? 'still goes out' : 'not kept'}`;
}

/** Publish and forget: a promise that is not awaited needs a catch, or a rejection ends the Node.js process. */
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

// A TimeoutError says what is known of the message.
await offline
  .publish('errors/late', 'x', { qos: 1, timeout: 20 })
  .catch((error: unknown) => console.log(fateOf(error)));

// A message that was written is still delivered after its time-out.
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

// The end of the client rejects with the same information.
const pending = offline
  .publish('errors/late', 'x', { qos: 1 })
  .catch((error: unknown) => console.log(fateOf(error)));
await offline.disconnect();
await pending;

// A subscribe() that still waits when the client disconnects.
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
