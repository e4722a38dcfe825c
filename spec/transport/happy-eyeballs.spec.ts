import type { LookupAddress } from 'node:dns';
import { Socket, type SocketConnectOpts } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { connectFirst, type Resolver } from '../../lib/transport/happy-eyeballs.ts';
import { endWithTest, held } from '../support/endings.ts';
import { settled } from '../support/fake-clock.ts';
import { errorOf } from '../support/tunnel-rig.ts';

endWithTest();

const V6 = (address: string): LookupAddress => ({ address, family: 6 });
const V4 = (address: string): LookupAddress => ({ address, family: 4 });

/** A host name with these addresses. The spec decides when connections succeed and timers fire. */
class Network implements Resolver {
  readonly asked: [string, number][] = [];
  /** Addresses that were tried, oldest first. */
  readonly begun: string[] = [];
  /** ms of the running timers. */
  readonly timers: number[] = [];
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #sockets = new Map<string, Socket>();
  readonly #addresses: readonly LookupAddress[];
  #fire: () => void = () => {};

  constructor(...addresses: LookupAddress[]) {
    this.#addresses = addresses;
    this.signal = this.#abort.signal;
  }

  lookup: Resolver['lookup'] = async (host, family) => {
    this.asked.push([host, family]);
    return this.#addresses;
  };

  after: Resolver['after'] = (ms, then) => {
    this.timers.push(ms);
    this.#fire = then;
    return () => void this.timers.splice(this.timers.indexOf(ms), 1);
  };

  /** Connects to the name. Resolves with the address that won. */
  async connect(target: Partial<SocketConnectOpts> = {}): Promise<string> {
    const connecting = connectFirst(
      { host: 'broker.example', port: 1_883, ...target },
      this.signal,
      (to) => this.#begin(to),
      this,
    );
    const { address, socket } = await connecting;
    expect(socket.destroyed).toBe(false);
    return address;
  }

  /** Lets the timer fire. */
  async fire(): Promise<void> {
    expect(this.timers).toHaveLength(1);
    this.timers.length = 0;
    this.#fire();
    await settled();
  }

  async answer(address: string): Promise<void> {
    this.socket(address).emit('connect');
    await settled();
  }

  async refuse(address: string): Promise<void> {
    this.socket(address).destroy(Object.assign(new Error(`${address} refused`), { code: 'ECONNREFUSED' }));
    await settled();
  }

  async abort(reason: Error): Promise<void> {
    this.#abort.abort(reason);
    await settled();
  }

  socket(address: string): Socket {
    const socket = this.#sockets.get(address);
    if (socket === undefined) throw new Error(`${address} was not tried`);
    return socket;
  }

  #begin(to: SocketConnectOpts): { socket: Socket; address: string } {
    const { host = '', family } = to as { host?: string; family?: number };
    this.begun.push(family === undefined ? host : `${host} (${family})`);
    const socket = held(new Socket());
    socket.on('error', () => {});
    this.#sockets.set(host, socket);
    return { socket, address: host };
  }
}

describe('a host with several addresses', () => {
  it('connects to a slow address if the next one refuses', async () => {
    const network = new Network(V4('192.0.2.1'), V6('2001:db8::1'));
    const connected = network.connect();
    await settled();
    await network.fire();
    await network.refuse('2001:db8::1');
    expect([network.begun, network.timers]).toEqual([['192.0.2.1 (4)', '2001:db8::1 (6)'], []]);
    await network.answer('192.0.2.1');
    expect(await connected).toBe('192.0.2.1');
  });

  it('waits without a time limit for the last address', async () => {
    const network = new Network(V6('2001:db8::1'), V4('192.0.2.1'));
    const connected = network.connect();
    await settled();
    await network.refuse('2001:db8::1');
    expect(network.timers).toEqual([]);
    await network.answer('192.0.2.1');
    expect(await connected).toBe('192.0.2.1');
  });

  it('tries the next address after 250 ms, while the previous attempt continues', async () => {
    const network = new Network(V6('2001:db8::1'), V4('192.0.2.1'), V4('192.0.2.2'));
    const connected = network.connect();
    await settled();
    expect(network.timers).toEqual([250]);
    await network.fire();
    expect([network.timers, network.socket('2001:db8::1').destroyed]).toEqual([[250], false]);
    await network.answer('192.0.2.1');
    expect(await connected).toBe('192.0.2.1');
    expect([network.socket('2001:db8::1').destroyed, network.timers, network.begun.length]).toEqual([
      true,
      [],
      2,
    ]);
  });

  it('uses the first of two addresses that answer in the same turn', async () => {
    const network = new Network(V6('2001:db8::1'), V4('192.0.2.1'));
    const connected = network.connect();
    await settled();
    await network.fire();
    network.socket('2001:db8::1').emit('connect');
    network.socket('192.0.2.1').emit('connect');
    expect(await connected).toBe('2001:db8::1');
    expect(network.socket('192.0.2.1').destroyed).toBe(true);
  });

  it('alternates between the families, and tries no address twice', async () => {
    const network = new Network(
      V6('2001:db8::1'),
      V6('2001:db8::2'),
      V6('2001:db8::1'),
      V6('2001:db8::3'),
      V4('192.0.2.1'),
    );
    const failed = errorOf(network.connect());
    await settled();
    for (const address of ['2001:db8::1', '192.0.2.1', '2001:db8::2', '2001:db8::3'])
      await network.refuse(address);
    expect(network.begun).toEqual(['2001:db8::1 (6)', '192.0.2.1 (4)', '2001:db8::2 (6)', '2001:db8::3 (6)']);
    expect(await failed).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('reports the error of each address if all refuse', async () => {
    const network = new Network(V4('192.0.2.1'), V4('192.0.2.2'));
    const failed = errorOf(network.connect());
    await settled();
    await network.refuse('192.0.2.1');
    await network.refuse('192.0.2.2');
    expect(await failed).toMatchObject({
      message: '192.0.2.1 refused; 192.0.2.2 refused',
      code: 'ECONNREFUSED',
      errors: [expect.any(Error), expect.any(Error)],
    });
  });

  it('tries one address at a time with a local port, for 5 s each except the last', async () => {
    const network = new Network(V4('192.0.2.1'), V4('192.0.2.2'));
    const connected = network.connect({ localPort: 7_000 });
    await settled();
    expect(network.timers).toEqual([5_000]);
    await network.fire();
    expect([network.socket('192.0.2.1').destroyed, network.timers]).toEqual([true, []]);
    await network.answer('192.0.2.2');
    expect(await connected).toBe('192.0.2.2');
  });

  it('destroys all sockets when the signal aborts', async () => {
    const network = new Network(V4('192.0.2.1'), V4('192.0.2.2'), V4('192.0.2.3'));
    const failed = errorOf(network.connect());
    await settled();
    await network.fire();
    const reason = new Error('enough');
    await network.abort(reason);
    expect(await failed).toBe(reason);
    expect([network.begun.length, network.timers]).toEqual([2, []]);
    expect(network.socket('192.0.2.1').destroyed && network.socket('192.0.2.2').destroyed).toBe(true);
  });
});

describe('the look-up', () => {
  it('is limited to the requested family', async () => {
    const network = new Network(V4('192.0.2.1'));
    const connected = network.connect({ family: 4 });
    await settled();
    await network.answer('192.0.2.1');
    await connected;
    expect(network.asked).toEqual([['broker.example', 4]]);
  });

  it.each(['192.0.2.1', '2001:db8::1'])('is skipped for the address %s', async (host) => {
    const network = new Network();
    const connected = network.connect({ host });
    await settled();
    await network.answer(host);
    expect([await connected, network.asked, network.begun]).toEqual([host, [], [host]]);
  });

  it('has no effect if it ends after the signal has aborted', async () => {
    const network = new Network(V4('192.0.2.1'));
    let found: (addresses: readonly LookupAddress[]) => void = () => {};
    network.lookup = () => new Promise((resolve) => (found = resolve));
    const failed = errorOf(network.connect());
    await settled();
    const reason = new Error('enough');
    await network.abort(reason);
    expect(await failed).toBe(reason);
    found([V4('192.0.2.1')]);
    await settled();
    expect(network.begun).toEqual([]);
  });

  it('is followed by the error if no socket can be created', async () => {
    const network = new Network();
    const failed = errorOf(
      connectFirst(
        { host: '192.0.2.1', port: 1 },
        network.signal,
        () => {
          throw new Error('no file descriptors');
        },
        network,
      ),
    );
    expect((await failed).message).toBe('no file descriptors');
  });
});
