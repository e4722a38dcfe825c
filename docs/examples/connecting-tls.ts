/** docs/connecting.md: TLS with a private authority, as in development, and with a client certificate. */
import { ConnectError, connect } from '../../lib/index.ts';
import { startBroker } from './broker.ts';
import { makeCertificates, PASSPHRASE } from './support/certificates.ts';

await using certificates = await makeCertificates();
const { ca, ...server } = await certificates.server();

// The server's certificate comes from a private authority. `caFile` replaces the authorities of the system.
{
  await using broker = await startBroker({ protocol: 'mqtts', tls: server });
  await using client = await connect(broker.url, { tls: { caFile: certificates.file('ca.pem') } });
  await client.publish('hello', 'encrypted', { qos: 1 });
  console.log('verified by our own authority');

  // Without `caFile` verification fails, and the error names the issuer of the certificate.
  try {
    await connect(broker.url);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    console.log(`${error.phase}: ${error.message}`);
  }
}

// Mutual TLS, with a key that has a passphrase.
{
  const tls = { ...server, ca, requestCert: true, rejectUnauthorized: true };
  await using broker = await startBroker({ protocol: 'mqtts', tls });
  await using client = await connect(broker.url, {
    tls: {
      caFile: certificates.file('ca.pem'),
      certFile: certificates.file('client.pem'),
      keyFile: certificates.file('client.key'),
      passphrase: async () => PASSPHRASE, // in production, ask a vault
    },
  });
  await client.publish('hello', 'from meter-7', { qos: 1 });
  console.log('known by a client certificate');
}
