/**
 * docs/connecting.md: AWS IoT Core, with a signed WebSocket URL and with a client certificate on port 443. Without the
 * variables below it runs against a local server with the same requirements:
 *
 *   AWS_IOT_ENDPOINT=xxx-ats.iot.eu-central-1.amazonaws.com AWS_REGION=eu-central-1 \
 *     AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… npx tsx docs/examples/connecting-aws-iot.ts
 */
import { createHash, createHmac } from 'node:crypto';
import { Client, connect, type ClientOptions } from '../../lib/index.ts';
import { startBroker } from './broker.ts';
import { makeCertificates, PASSPHRASE } from './support/certificates.ts';

interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Returns a URL that is valid for some minutes: Signature Version 4 for the service `iotdevicegateway`. */
function signedUrl(host: string, region: string, credentials: AwsCredentials, now = new Date()): string {
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/iotdevicegateway/aws4_request`;
  const query = [
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${encodeURIComponent(`${credentials.accessKeyId}/${scope}`)}`,
    `X-Amz-Date=${time}`,
    'X-Amz-SignedHeaders=host',
  ].join('&');
  const request = ['GET', '/mqtt', query, `host:${host}`, '', 'host', sha256('')].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(request)].join('\n');
  const key = [day, region, 'iotdevicegateway', 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${credentials.secretAccessKey}`,
  );
  // Unlike other services, this one expects the session token after the signature.
  const { sessionToken } = credentials;
  const token = sessionToken === undefined ? '' : `&X-Amz-Security-Token=${encodeURIComponent(sessionToken)}`;
  return `wss://${host}/mqtt?${query}&X-Amz-Signature=${hmac(key, toSign).toString('hex')}${token}`;
}

/** Limits of AWS IoT Core: QoS 0 and 1, eight filters per SUBSCRIBE, Keep Alive from 30 s to 20 min. */
const LIMITS: ClientOptions = { keepAlive: 60, maxFiltersPerPacket: 8 };

const env = process.env;
await using certificates = await makeCertificates();
const server = await certificates.server();

// A URL that is signed again for each attempt.
{
  const region = env['AWS_REGION'] ?? 'eu-central-1';
  const credentials = (): AwsCredentials => ({
    accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? 'AKIDEXAMPLE',
    secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? 'only an example',
    sessionToken: env['AWS_SESSION_TOKEN'],
  });
  const endpoint = env['AWS_IOT_ENDPOINT'];
  await using local = await startBroker({
    protocol: 'wss',
    tls: server,
    admits: ({ url = '' }) => {
      const signature = new URL(url, 'wss://local').searchParams.get('X-Amz-Signature');
      return signature?.length === 64;
    },
  });
  const host = endpoint ?? local.url.slice('wss://'.length);
  await using client = new Client(async () => signedUrl(host, region, credentials()), {
    ...LIMITS,
    clientId: 'meter-7',
    ...(endpoint === undefined && { tls: { caFile: certificates.file('ca.pem') } }),
  });
  await client.connect();
  await client.publish('meters/7', 'over a signed URL', { qos: 1 });
  console.log('connected by a signed URL');
}

// A client certificate on port 443. ALPN selects MQTT, as port 443 serves other protocols, too.
{
  const tls = { ...server, requestCert: true, ALPNProtocols: ['x-amzn-mqtt-ca'] };
  await using local = await startBroker({ protocol: 'mqtts', tls });
  // For AWS: mqtts://xxx-ats.iot.eu-central-1.amazonaws.com:443, with the authorities of the system.
  await using client = await connect(local.url, {
    ...LIMITS,
    clientId: 'meter-7',
    tls: {
      caFile: certificates.file('ca.pem'),
      certFile: certificates.file('client.pem'),
      keyFile: certificates.file('client.key'),
      passphrase: PASSPHRASE,
      alpn: 'x-amzn-mqtt-ca',
    },
  });
  await client.publish('meters/7', 'with a certificate', { qos: 1 });
  console.log('connected by a certificate');
}
