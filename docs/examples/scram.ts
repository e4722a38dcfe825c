/** docs/connecting.md: enhanced authentication with SCRAM-SHA-256, and re-authentication. */
import { connect, ConnectError } from '../../lib/index.ts';
import { scramSha256 } from './support/scram-sha-256.ts';
import { startScramServer, storeUser } from './support/scram-server.ts';

const user = await storeUser('pencil');
await using server = await startScramServer(user);
{
  await using client = await connect(server.url, {
    protocolVersion: 5,
    authentication: scramSha256('meter-7', 'pencil'),
  });
  await client.publish('meters/7', 21.5, { qos: 1 });
  console.log('connected, and the server has proved that it knows the password');
  // On the same connection, while messages go on.
  const [{ reasonCode }] = await Promise.all([
    client.publish('meters/7', 21.6, { qos: 1 }),
    client.reauthenticate({ timeout: 5_000 }),
  ]);
  console.log(`authenticated again, PUBACK ${reasonCode}`);
}

const failing = async (url: string, password: string): Promise<void> => {
  try {
    await connect(url, { protocolVersion: 5, authentication: scramSha256('meter-7', password) });
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    console.log(`${error.phase}: ${error.message}`);
  }
};
// The server refuses a wrong password.
await failing(server.url, 'pen');
// The client refuses a server that does not know the password.
await using impostor = await startScramServer(user, `v=${Buffer.alloc(32).toString('base64')}`);
await failing(impostor.url, 'pencil');
