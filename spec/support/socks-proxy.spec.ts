import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { endWithTest, held, listening } from './endings.ts';
import type { SocksProxy } from './socks-proxy.ts';
import { socksProxy } from './tunnel-rig.ts';

endWithTest();

/** Sends messages to a proxy, each after an answer to the one before. Returns all answers in hex. */
async function say(proxy: SocksProxy, ...pieces: readonly (readonly number[])[]): Promise<string[]> {
  const socket = held(connect(proxy.port, '127.0.0.1'));
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  const answers: string[] = [];
  for (const piece of pieces) {
    socket.write(Uint8Array.from(piece));
    const [bytes] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer | boolean];
    if (typeof bytes === 'boolean') break;
    answers.push(bytes.toString('hex'));
  }
  return answers;
}

const text = (words: string): number[] => [words.length, ...Buffer.from(words)];
const portOf = (port: number): number[] => [port >> 8, port & 0xff];
/** A reply with a code and an empty address. */
const reply = (code: string): string => `05${code}00017f0000010000`;

describe('the SOCKS5 proxy', () => {
  it('makes a tunnel to an IPv4 address and to a name that only it knows', async () => {
    const { port } = await listening();
    const proxy = await socksProxy({ names: { broker: '127.0.0.1' } });
    const address = [5, 1, 0, 1, 127, 0, 0, 1, ...portOf(port)];
    const name = [5, 1, 0, 3, ...text('broker'), ...portOf(port)];
    for (const asked of [address, name])
      expect(await say(proxy, [5, 1, 0], asked, [1, 2, 3])).toEqual(['0500', reply('00'), '010203']);
    expect(proxy.asked).toEqual([
      { form: 'ipv4', host: '127.0.0.1', port },
      { form: 'name', host: 'broker', port },
    ]);
  });

  it('requires the right user name and password', async () => {
    const proxy = await socksProxy({ credentials: { username: 'me', password: 'pw' } });
    expect(await say(proxy, [5, 1, 0])).toEqual(['05ff']);
    expect(await say(proxy, [5, 2, 0, 2], [1, ...text('me'), ...text('no')])).toEqual(['0502', '0101']);
    expect(await say(proxy, [5, 2, 0, 2], [1, ...text('me'), ...text('pw')])).toEqual(['0502', '0100']);
    expect(proxy.shown).toEqual(['me:no', 'me:pw']);
  });

  it('reports an unreachable server, and refuses, stays silent or sends garbage on request', async () => {
    const proxy = await socksProxy();
    const { port, server } = await listening();
    await new Promise((resolve) => server.close(resolve));
    const asked = [5, 1, 0, 4, ...Array.from({ length: 15 }, () => 0), 1, ...portOf(port)];
    expect(await say(proxy, [5, 1, 0], asked)).toEqual(['0500', reply('05')]);
    proxy.answer = { status: 2 };
    expect(await say(proxy, [5, 1, 0], asked)).toEqual(['0500', reply('02')]);
    proxy.answer = { bytes: 'la' };
    expect(await say(proxy, [5, 1, 0])).toEqual(['6c61']);
    proxy.answer = 'silence';
    const silent = say(proxy, [5, 1, 0], asked);
    while (proxy.asked.length < 3) await new Promise(setImmediate);
    proxy.cut();
    expect(await silent).toEqual(['0500']);
    expect(proxy.asked[0]).toEqual({ form: 'ipv6', host: '::1', port });
  });
});
