/** Features of MQTT 5.0. Needs a broker that supports it: a URL as argument, or Mosquitto if it is installed. */
import { Client, connect, PublishError } from '../../lib/index.ts';
import { startMosquitto } from './broker.ts';

async function main(url: string): Promise<void> {
  await using service = await connect(url, { protocolVersion: 5 });
  console.log(`Receive Maximum of the server: ${service.negotiated?.receiveMaximum}`);
  const requests = await service.subscribe('calc/square', { qos: 1 });
  const serving = (async () => {
    for await (const message of requests) {
      const { responseTopic, correlationData } = message.properties;
      const number = Number(message.text());
      if (responseTopic === undefined || Number.isNaN(number)) message.reject(0x99); // Payload format invalid
      else {
        const properties = correlationData === undefined ? {} : { correlationData };
        await service.publish(responseTopic, number ** 2, { qos: 1, properties });
      }
    }
  })();

  {
    await using asker = new Client(url, { protocolVersion: 5, clientId: 'asker', sessionExpiryInterval: 60 });
    await asker.connect();
    const answers = await asker.subscribe('calc/answers/asker', { qos: 1, retainHandling: 2 });
    const result = await asker.publish('calc/square', 12, {
      qos: 1,
      properties: {
        responseTopic: 'calc/answers/asker',
        correlationData: Uint8Array.of(1),
        messageExpiryInterval: 10,
        contentType: 'text/plain',
        userProperties: [['unit', 'none']],
      },
    });
    const answer = await answers.receive({ timeout: 5_000 });
    console.log(
      `answer: ${answer.text()}, correlation ${answer.properties.correlationData?.[0]}, PUBACK ${result.reasonCode}`,
    );

    // 0x10: the server accepted the message, but there is no subscriber.
    const unheard = await asker.publish('calc/nobody', 'x', { qos: 1 });
    console.log(`nobody: 0x${unheard.reasonCode.toString(16)}`);
    // Topic Aliases: the Topic Name is written once, then a number of two bytes in its place.
    await using meter = await connect(url, { protocolVersion: 5, topicAlias: 'auto' });
    for (const value of ['21.5', '21.6']) {
      const before = meter.stats().bytes.sent;
      await meter.publish('site/7/line/3/sensor/temperature', value, { qos: 1 });
      console.log(`temperature: ${meter.stats().bytes.sent - before} bytes`);
    }
    // The client refuses this before writing it, as the server would close the connection.
    const tooHigh = { topicAlias: 60_000 };
    await asker.publish('calc/alias', 'x', { qos: 1, properties: tooHigh }).catch((error: unknown) => {
      if (error instanceof PublishError)
        console.log(`alias: 0x${error.reasonCode.toString(16)}, ${error.delivery}`);
    });
  }
  await requests.unsubscribe();
  await serving;
}

const given = process.argv[2];
const broker = given === undefined ? await startMosquitto() : undefined;
const url = given ?? broker?.url;
if (url === undefined) console.log('skipped: Mosquitto is not installed (apt-get install mosquitto)');
else {
  try {
    await main(url);
  } finally {
    await broker?.stop();
  }
}
