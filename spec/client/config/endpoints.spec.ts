import { describe, expect, it } from '@jest/globals';
import {
  Endpoints,
  toEndpoint,
  type EndpointSettings,
  type ServerUrl,
} from '../../../lib/client/config/endpoints.ts';
import { firstAttempt } from '../../support/dial-contexts.ts';

const context = firstAttempt();

function servers(
  urls: readonly ServerUrl[],
  settings: Partial<EndpointSettings> = {},
  random = () => 0.5,
): Endpoints {
  const endpoints = urls.map((url) => toEndpoint(url, undefined));
  return new Endpoints(
    { settings: { endpoints, serverOrder: 'listed', followServerReference: true, ...settings } },
    random,
  );
}

const where = async (some: Endpoints): Promise<string> => {
  const { protocol, host, port, path = '' } = (await some.resolve(context)).target;
  return `${protocol}://${host}:${port}${path}`;
};

/** All servers that one failing attempt tries. */
async function attempt(some: Endpoints): Promise<string[]> {
  let left = some.select('first');
  const tried = [await where(some)];
  for (; left > 0; tried.push(await where(some))) left = some.select('next');
  return tried;
}

const ABC = ['mqtt://a', 'mqtts://b', 'ws://c/x'] as const;
const IN_TURN = ['mqtt://a:1883', 'mqtts://b:8883', 'ws://c:80/x'];

describe('the servers of an attempt', () => {
  it('are tried in the order given, each time from the first', async () => {
    const some = servers(ABC);
    expect(await attempt(some)).toEqual(IN_TURN);
    expect(await attempt(some)).toEqual(IN_TURN);
  });

  it('are tried in a random order with shuffled, each once', async () => {
    let n = 0;
    const some = servers(ABC, { serverOrder: 'shuffled' }, () => ((n += 7) % 10) / 10);
    const orders = [await attempt(some), await attempt(some), await attempt(some)];
    for (const order of orders) expect(order.toSorted()).toEqual(IN_TURN.toSorted());
    expect(new Set(orders.map(String)).size).toBeGreaterThan(1);
  });

  it('may be the same again', async () => {
    const some = servers(ABC);
    expect([some.select('first'), some.select('same')]).toEqual([2, 2]);
    expect(await where(some)).toBe(IN_TURN[0]);
    expect(some.select('next')).toBe(1);
    expect(await where(some)).toBe(IN_TURN[1]);
  });

  it('may come from a function, which is called each time', async () => {
    let n = 0;
    const some = servers([async ({ attempt: number }) => `wss://c/mqtt?sign=${number}-${n++}`]);
    expect([await attempt(some), await attempt(some)]).toEqual([
      ['wss://c:443/mqtt?sign=0-0'],
      ['wss://c:443/mqtt?sign=0-1'],
    ]);
    const wrong = servers([() => 'secret']);
    wrong.select('first');
    await expect(where(wrong)).rejects.toThrow('got a string that is not a URL');
  });

  it('have their own credentials', async () => {
    const some = servers(['mqtt://u:p@a', 'mqtt://v@b']);
    some.select('first');
    expect((await some.resolve(context)).credentials).toEqual({ username: 'u', password: 'p' });
    some.select('next');
    expect((await some.resolve(context)).credentials).toEqual({ username: 'v' });
  });

  it('are only the first one if connect() names a host or port; its local address is used, too', async () => {
    const some = servers(ABC);
    some.override({ localAddress: '127.0.0.2' });
    some.select('first');
    expect((await some.resolve(context)).target).toMatchObject({ host: 'a', localAddress: '127.0.0.2' });
    some.override({ host: 'other' });
    expect(await attempt(some)).toEqual(['mqtt://other:1883']);
    some.override({ port: 7 });
    expect(await attempt(some)).toEqual(['mqtt://other:7']);
    const asked = servers([() => 'ws://c/x', 'mqtt://d']);
    asked.override({ host: 'other' });
    expect(await attempt(asked)).toEqual(['ws://other:80/x']);
  });
});

describe('a Server Reference', () => {
  const refused = async (some: Endpoints, reference: string, lasting: 'for now' | 'for good' = 'for now') => {
    some.select('first');
    await some.resolve(context);
    return some.redirect(reference, lasting);
  };
  const rest = async (some: Endpoints, count: number): Promise<string[]> => {
    const tried: string[] = [];
    for (let i = 0; i < count; i++) {
      some.select('next');
      tried.push(await where(some));
    }
    return tried;
  };

  it('comes next within the attempt, with the same scheme and credentials', async () => {
    const some = servers(['mqtts://me:secret@a', 'mqtt://b']);
    expect(await refused(some, 'other:9 [::1]:7 third [fe80::2]')).toBe(4);
    expect(await rest(some, 5)).toEqual([
      'mqtts://other:9',
      'mqtts://::1:7',
      'mqtts://third:8883',
      'mqtts://fe80::2:8883',
      'mqtt://b:1883',
    ]);
    some.select('first');
    await refused(some, 'other');
    some.select('next');
    expect((await some.resolve(context)).credentials).toEqual({ username: 'me', password: 'secret' });
  });

  it('to a server of the list moves it to the front, and it is tried once', async () => {
    const some = servers(['mqtt://a', 'mqtt://b', 'mqtt://c']);
    expect(await refused(some, 'c', 'for good')).toBe(0);
    expect(await rest(some, 2)).toEqual(['mqtt://c:1883', 'mqtt://b:1883']);
    expect(await attempt(some)).toEqual(['mqtt://c:1883', 'mqtt://a:1883', 'mqtt://b:1883']);
  });

  it('is followed once per attempt', async () => {
    const some = servers(['mqtt://a']);
    expect(await refused(some, 'b')).toBe(1);
    await rest(some, 1);
    expect(some.redirect('c', 'for now')).toBe(0);
    expect(await refused(some, 'd')).toBe(1);
  });

  it('that ends a connection is where the next attempt begins, once', async () => {
    const some = servers(['mqtt://a']);
    await attempt(some);
    some.connected();
    expect(some.redirect('b', 'for now')).toBe(1);
    some.select('first');
    expect(await where(some)).toBe('mqtt://b:1883');
    expect(some.redirect('c', 'for now')).toBe(0);
    some.connected();
    expect(await attempt(some)).toEqual(['mqtt://a:1883']);
  });

  it('that is for good is where all later attempts begin; the old server comes next', async () => {
    const some = servers(['mqtt://a']);
    expect(await refused(some, 'b', 'for good')).toBe(1);
    expect(await attempt(some)).toEqual(['mqtt://b:1883', 'mqtt://a:1883']);
    some.connected();
    expect(await attempt(some)).toEqual(['mqtt://b:1883', 'mqtt://a:1883']);
    some.override({ host: 'c' });
    expect(await attempt(some)).toEqual(['mqtt://c:1883']);
  });

  it.each([
    '',
    ' ',
    'a:0',
    'a:65536',
    'a:b',
    'mqtt://a',
    'u:p@a',
    'a/b',
    'a?b',
    '[::1',
    '::1',
    'x'.repeat(254),
  ])('is ignored if it names no server: %j', async (reference) => {
    const some = servers(['mqtt://a']);
    expect(await refused(some, reference)).toBe(0);
  });

  it('is not followed without followServerReference, nor from a Unix socket', async () => {
    expect(await refused(servers(['mqtt://a'], { followServerReference: false }), 'b')).toBe(0);
    expect(await refused(servers(['mqtt+unix:///run/a']), 'b')).toBe(0);
  });

  it('may name eight servers; others are ignored', async () => {
    expect(await refused(servers(['mqtt://a']), 'b '.repeat(50).trim())).toBe(8);
  });
});
