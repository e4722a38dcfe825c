/** docs/connecting.md: TLS with an authority of one's own, as in development, and with a client certificate. */
import { ConnectError, connect } from '../../lib/index.ts';
import { startBroker } from './broker.ts';
import { makeCertificates, PASSPHRASE } from './support/certificates.ts';

await using certificates = await makeCertificates();
const { ca, ...server } = await certificates.server();

// The server has a certificate of an authority that only we know: its file takes the place of the system's.
{
  await using broker = await startBroker({ protocol: 'mqtts', tls: server });
  await using client = await connect(broker.url, { tls: { caFile: certificates.file('ca.pem') } });
  await client.publish('hello', 'encrypted', { qos: 1 });
  console.log('verified by our own authority');

  // Without it the server is not believed, and the error says whose certificate that was.
  try {
    await connect(broker.url);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    console.log(`${error.phase}: ${error.message}`);
  }
}

// Mutual TLS: the key has a passphrase, which comes from somewhere else.
{
  const tls = { ...server, ca, requestCert: true, rejectUnauthorized: true };
  await using broker = await startBroker({ protocol: 'mqtts', tls });
  await using client = await connect(broker.url, {
    tls: {
      caFile: certificates.file('ca.pem'),
      certFile: certificates.file('client.pem'),
      keyFile: certificates.file('client.key'),
      passphrase: async () => PASSPHRASE, // here a vault would be asked
    },
  });
  await client.publish('hello', 'from meter-7', { qos: 1 });
  console.log('known by a client certificate');
}
