/**
 * The main job: connect, subscribe, publish, `for await`. Without an argument it starts a broker.
 * With one (`npm start -- mqtt://host:port`) it connects to that broker.
 */
import { connect } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

const given = process.argv[2];
const broker = given === undefined ? await startBroker() : undefined;
const url = given ?? broker!.url;

try {
  await using client = await connect(url);
  console.log(`connected to ${url} as ${client.clientId}`);

  const temperatures = await client.subscribe('example/sensors/+/temperature', { qos: 1 });

  const readings = [21.5, 22, 22.5];
  await Promise.all(
    readings.map((celsius, i) => client.publish(`example/sensors/${i + 1}/temperature`, celsius, { qos: 1 })),
  );
  console.log(`published ${readings.length} messages with QoS 1`);

  let received = 0;
  for await (const message of temperatures) {
    console.log(`${message.topic} = ${message.text()}`);
    message.ack();
    if (++received === readings.length) break;
  }
} finally {
  await broker?.stop();
}
console.log('done');
