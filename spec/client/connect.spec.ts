import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { connect } from '../../lib/client/connect.ts';
import { ConnectError } from '../../lib/errors.ts';
import { leakGuard } from '../support/leaks.ts';
import { scriptedServer, type ScriptedServer } from '../support/scripted-network.ts';

let server: ScriptedServer;

beforeEach(async () => {
  server = await scriptedServer();
});

afterEach(() => server.close());

leakGuard();

describe('connect()', () => {
  it('resolves with a client that is connected', async () => {
    const connecting = connect(server.url, { userData: 7 });
    const broker = await server.next();
    await broker.accept();
    const client = await connecting;
    expect([client.state, client.userData]).toEqual(['connected', 7]);
    const ending = client.disconnect();
    await broker.expect('disconnect');
    broker.close();
    await ending;
  });

  it('rejects with what failed, and leaves nothing behind', async () => {
    const connecting = connect(server.url);
    connecting.catch(() => {});
    const broker = await server.next();
    await broker.accept({ reasonCode: 2 });
    await expect(connecting).rejects.toMatchObject({ phase: 'connack', reasonCode: 2 });
    await server.close();
    await expect(connect(server.url)).rejects.toBeInstanceOf(ConnectError);
    await expect(connect('mqtt://')).rejects.toBeInstanceOf(TypeError);
  });
});
