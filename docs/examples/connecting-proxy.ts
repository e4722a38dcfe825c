/** docs/connecting.md: through the proxy of a company network. */
import { connect } from '../../lib/index.ts';
import { startBroker } from './broker.ts';
import { makeCertificates } from './support/certificates.ts';
import { startProxy } from './support/proxy.ts';

await using certificates = await makeCertificates();
await using broker = await startBroker({ protocol: 'mqtts', tls: await certificates.server() });
await using proxy = await startProxy('me:p@ss');
const tls = { caFile: certificates.file('ca.pem') };

// Proxy as an option. The password is percent-encoded. TLS to the server is end to end.
{
  await using client = await connect(broker.url, { tls, proxy: `http://me:p%40ss@127.0.0.1:${proxy.port}` });
  await client.publish('hello', 'through the proxy', { qos: 1 });
}

// Proxy from the environment, as operators set it for all programs.
{
  process.env['https_proxy'] = `http://me:p%40ss@127.0.0.1:${proxy.port}`;
  process.env['no_proxy'] = 'localhost,.internal';
  await using client = await connect(broker.url, { tls, proxy: 'environment' });
  await client.publish('hello', 'through the proxy again', { qos: 1 });
}
console.log(
  `tunnels: ${proxy.asked.length}, all to the broker: ${proxy.asked.every((to) => broker.url.endsWith(to))}`,
);
