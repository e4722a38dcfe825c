import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Clock } from '../../../lib/client/runtime/clock.ts';
import { Driver } from '../../../lib/client/runtime/driver.ts';
import { EventQueue } from '../../../lib/client/runtime/event-queue.ts';
import { PendingPublish } from '../../../lib/client/publish/pending-publish.ts';
import { Decoder, encode } from '../../../lib/codec/codec.ts';
import type { EncodablePacket, Packet } from '../../../lib/codec/packets.ts';
import type { Change } from '../../../lib/engine/effects.ts';
import { ConnectError } from '../../../lib/errors.ts';
import type { TransportReceiver, Transport } from '../../../lib/transport/transport.ts';
import { ENGINE_DEFAULTS } from '../../support/engine-options.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';

/** A transport that does what it is told: each write is kept apart, and is held back where it is said to be. */
class ManualTransport implements Transport {
  readonly writes: Uint8Array[] = [];
  receiver: TransportReceiver | undefined = undefined;
  ends = 0;
  destroys = 0;
  isFull = false;
  reads: 'what comes' | 'not now' = 'what comes';
  #held: { bytes: Uint8Array; written: (bytes: Uint8Array) => void }[] = [];

  open(receiver: TransportReceiver): void {
    this.receiver = receiver;
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    this.writes.push(bytes.slice());
    if (this.isFull) this.#held.push({ bytes, written });
    else written(bytes);
  }

  get bytesPending(): number {
    return this.#held.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  pause(): void {
    this.reads = 'not now';
  }

  resume(): void {
    this.reads = 'what comes';
  }

  end(): void {
    this.ends++;
  }

  destroy(): void {
    this.destroys++;
  }

  /** The network takes what was held back. */
  release(): void {
    this.isFull = false;
    const held = this.#held;
    this.#held = [];
    for (const { bytes, written } of held) written(bytes);
    this.receiver?.onDrain();
  }

  send(...packets: EncodablePacket[]): void {
    for (const packet of packets) this.receiver?.onData(encode(packet, 4));
  }

  /** Everything written since the specs began to look. */
  get packets(): Packet[] {
    const decoder = new Decoder({ receiver: 'server', protocolVersion: 4 });
    const packets: Packet[] = [];
    for (const bytes of this.writes) decoder.push(bytes.slice());
    for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) packets.push(packet);
    return packets;
  }
}

const ENDING = { reasonCode: 0, properties: {}, pending: 'keep', timeout: 5_000 } as const;

let clock: FakeClock;
let armings: number[];
let changes: Change[];
let transports: ManualTransport[];
let answer: (signal: AbortSignal) => Promise<Transport>;
let credentials: (signal: AbortSignal) => Promise<object>;
let delivered: string[];

beforeEach(() => {
  clock = new FakeClock();
  [armings, changes, transports, delivered] = [[], [], [], []];
  credentials = () => Promise.resolve({});
  answer = () => {
    const transport = new ManualTransport();
    transports.push(transport);
    return Promise.resolve(transport);
  };
});

function driverOf(options: Partial<typeof ENGINE_DEFAULTS> = {}, over: Partial<Clock> = {}): Driver {
  const counting: Clock = {
    now: () => clock.now(),
    wakeAt: (at, wake) => {
      armings.push(at - clock.now());
      return clock.wakeAt(at, wake);
    },
    ...over,
  };
  const driver = new Driver(
    { ...ENGINE_DEFAULTS, protocolVersion: 4, ...options },
    {
      clock: counting,
      random: () => 0.5,
      events: new EventQueue(),
      endpoints: { select: () => 0, redirect: () => 0 },
      prepare: async ({ signal }) => ({
        credentials: await credentials(signal),
        dial: () => answer(signal),
      }),
      buffers: { full: 0, bytes: 0 },
    },
  );
  driver.listen({
    authenticate: () => 'not needed',
    deliver: ({ topic }) => {
      delivered.push(topic);
      return 'taken';
    },
    changed: (change) => changes.push(change),
    overflowed: () => {},
    onProgress: () => {},
  });
  return driver;
}

async function online(options: Partial<typeof ENGINE_DEFAULTS> = {}, over?: Partial<Clock>) {
  const driver = driverOf(options, over);
  driver.connect('give up');
  await settled();
  const transport = transports.at(-1)!;
  transport.send({ type: 'connack' });
  await settled();
  expect(driver.state).toBe('connected');
  transport.writes.length = 0;
  return { driver, transport };
}

function message(payload: Uint8Array | string): PendingPublish {
  const exchange = new PendingPublish('a/b', payload, 1, false, undefined);
  exchange.promise.catch(() => {});
  return exchange;
}

const now = (payload: string) => ({
  topicName: 'a',
  payload,
  qos: 0 as const,
  retain: false,
  properties: undefined,
});

describe('the output', () => {
  it('of one turn leaves in one write', async () => {
    const { driver, transport } = await online();
    for (let i = 0; i < 5; i++) driver.publish(message('x'));
    void driver.publishNow(now('y'));
    await Promise.resolve().then(() => driver.publish(message('z')));
    expect(transport.writes).toHaveLength(0);
    await settled();
    expect(transport.writes).toHaveLength(1);
  });

  it('is held back while the transport holds back, and goes on when it has drained', async () => {
    const { driver, transport } = await online();
    transport.isFull = true;
    driver.publish(message('a'));
    await settled();
    driver.publish(message('b'));
    driver.publish(message('c'));
    await settled();
    expect(transport.writes).toHaveLength(1);
    transport.release();
    await settled();
    expect(transport.writes).toHaveLength(2);
  });

  it('of a chunk that is full leaves at once, and many of them let the network be read in between', async () => {
    const { driver, transport } = await online();
    const payload = 'x'.repeat(10_000);
    let isRead = false;
    setImmediate(() => {
      isRead = true;
    });
    for (let bytes = 0; bytes < 1_000_000; bytes += 10_000)
      expect(driver.publishNow(now(payload))).toBe(true);
    expect(transport.writes.length).toBeGreaterThan(10);
    const breath = [0, 1, 2, 3, 4, 5].map(() => driver.publishNow(now(payload))).at(-1);
    expect(breath).toBeInstanceOf(Promise);
    expect(isRead).toBe(false);
    await breath;
    expect(isRead).toBe(true);
    expect(driver.publishNow(now(payload))).toBe(true);
    await settled();
  });

  it('that is due when the connection is ended still leaves, before DISCONNECT', async () => {
    const { driver, transport } = await online();
    transport.isFull = true;
    driver.publish(message('a'));
    await settled();
    void driver.publishNow(now('b'));
    driver.disconnect(ENDING);
    await settled();
    expect([transport.writes.length, transport.ends, transport.destroys]).toEqual([2, 1, 0]);
    expect(encode({ type: 'disconnect' }, 4)).toEqual(transport.writes[1]!.slice(-2));
  });
});

describe('CONNACK', () => {
  it('is reported before what comes behind it in one read is delivered', async () => {
    const driver = driverOf();
    driver.connect('give up');
    await settled();
    const order: string[] = [];
    changes.push = (...some) => order.push(...some.map(({ type }) => type));
    delivered.push = (...some) => order.push(...some);
    const bytes = [
      { type: 'connack', sessionPresent: false } as const,
      { type: 'publish', topic: 'a', payload: new Uint8Array(1) } as const,
    ].flatMap((packet) => [...encode(packet, 4)]);
    transports[0]!.receiver?.onData(Uint8Array.from(bytes));
    expect(order).toEqual(['connected', 'a']);
    driver.disconnect(ENDING);
    await settled();
  });
});

describe('the one timer', () => {
  it('is set anew only where something is due earlier', async () => {
    const { driver, transport } = await online({ keepAlive: 60, messageRetry: 0 });
    const before = armings.length;
    for (let i = 0; i < 20; i++) {
      driver.publish(message('x'));
      await settled();
      transport.send({ type: 'puback', packetId: i + 1 });
      await settled();
      await clock.advance(500);
    }
    expect(armings.length - before).toBe(0);
    expect(clock.armed).toBe(1);
    driver.disconnect(ENDING);
    await settled();
    expect(armings.at(-1)).toBe(5_000);
    expect(clock.armed).toBe(1);
    transport.receiver?.onClose();
    await settled();
    expect(clock.armed).toBe(0);
  });

  it('that comes late has what arrived read before anybody is judged', async () => {
    let late = 0;
    let afterTimers = (): void => {};
    const { driver, transport } = await online(
      { keepAlive: 10 },
      {
        now: () => clock.now() + late,
        // What arrived while the process was busy is read after the timers of the turn, before its immediates.
        wakeAt: (at, wake) =>
          clock.wakeAt(at, () => {
            wake();
            afterTimers();
          }),
      },
    );
    await clock.advance(9_000);
    expect(transport.packets).toEqual([{ type: 'pingreq' }]);
    late = 60_000;
    afterTimers = () => {
      afterTimers = () => {};
      transport.send({ type: 'pingresp' });
    };
    await clock.advance(5_000);
    expect([driver.state, changes.filter((change) => change.type === 'disconnected')]).toEqual([
      'connected',
      [],
    ]);
  });

  it('that comes late closes all the same where nothing arrived', async () => {
    let late = 0;
    const { driver } = await online({ keepAlive: 10 }, { now: () => clock.now() + late });
    await clock.advance(9_000);
    late = 60_000;
    await clock.advance(5_000);
    await settled();
    expect(driver.state).toBe('waiting');
  });
});

describe('a connection that was hung up', () => {
  it('is deaf, whatever still comes from it', async () => {
    const { driver, transport } = await online();
    const { receiver } = transport;
    transport.receiver?.onData(Uint8Array.of(0xff, 0xff));
    await settled();
    expect([driver.state, transport.destroys]).toEqual(['waiting', 1]);
    const known = changes.length;
    receiver?.onData(encode({ type: 'publish', topic: 'late', payload: Uint8Array.of(1) }, 4));
    receiver?.onRead(3);
    receiver?.onDrain();
    receiver?.onClose(new Error('late'));
    await settled();
    expect([changes.length, delivered, driver.state, transport.destroys]).toEqual([known, [], 'waiting', 1]);
  });

  it('gives its memory back without harm to the next', async () => {
    const { driver, transport } = await online();
    transport.isFull = true;
    const exchange = message(new Uint8Array(100_000));
    driver.publish(exchange);
    await settled();
    transport.receiver?.onClose(new Error('lost'));
    await clock.advance(1_000);
    const next = transports.at(-1)!;
    expect(next).not.toBe(transport);
    next.send({ type: 'connack', sessionPresent: false });
    transport.release();
    await settled();
    const published = next.packets.find((packet) => packet.type === 'publish');
    expect(published?.payload).toEqual(new Uint8Array(100_000));
    next.send({ type: 'puback', packetId: published!.packetId! });
    await expect(exchange.promise).resolves.toMatchObject({ reasonCode: 0 });
  });

  it('is closed exactly once, with what was still to be said', async () => {
    const { transport } = await online();
    transport.receiver?.onData(encode({ type: 'suback', packetId: 9, reasonCodes: [0] }, 4));
    await settled();
    expect([transport.destroys, transport.ends]).toEqual([1, 0]);
  });
});

describe('a connection that another one takes the place of', () => {
  it('keeps nobody waiting where it never says that it is closed', async () => {
    const { driver, transport } = await online();
    expect(driver.reconnect()).toBe(true);
    const retired = driver.gracefulClose();
    await settled();
    expect([transport.ends, transport.destroys, transports.length]).toEqual([1, 0, 1]);
    await clock.advance(1_000);
    await retired;
    expect([transport.destroys, transports.length]).toEqual([1, 2]);
    transport.receiver?.onClose();
    transports[1]?.send({ type: 'connack' });
    await settled();
    expect(driver.state).toBe('connected');
  });
});

describe('an attempt', () => {
  it('that is given up while it is dialled destroys the transport that comes after all', async () => {
    const driver = driverOf();
    const transport = new ManualTransport();
    let up = (_transport: Transport): void => {};
    answer = () => new Promise((resolve) => (up = resolve));
    driver.connect('give up');
    await settled();
    driver.giveUp(new ConnectError('timeout', 'enough'));
    up(transport);
    await settled();
    expect([transport.destroys, transport.receiver, driver.state]).toEqual([1, undefined, 'offline']);
    expect(clock.armed).toBe(0);
  });

  it('fails at once where its transport cannot be opened', async () => {
    const transport = new ManualTransport();
    transport.open = () => {
      throw new Error('rain');
    };
    answer = () => Promise.resolve(transport);
    const driver = driverOf();
    driver.connect('give up');
    await settled();
    expect(changes.at(-1)).toMatchObject({
      type: 'gaveUp',
      error: { phase: 'dial', message: 'no connection: rain' },
    });
    expect([driver.state, transport.destroys, clock.armed]).toEqual(['offline', 1, 0]);
  });

  it('tells whoever gives credentials or dials that it is over', async () => {
    const told: string[] = [];
    const listen = (what: string) => (signal: AbortSignal) => {
      signal.addEventListener('abort', () => told.push(what));
      return new Promise<never>(() => {});
    };
    credentials = listen('credentials');
    const driver = driverOf({ connectTimeout: 300 });
    driver.connect('give up');
    await clock.advance(300);
    [credentials, answer] = [() => Promise.resolve({}), listen('dial')];
    driver.connect('give up');
    await clock.advance(300);
    expect(told).toEqual(['credentials', 'dial']);
    expect(changes.map((change) => change.type)).toEqual(['connecting', 'gaveUp', 'connecting', 'gaveUp']);
    expect([driver.state, clock.armed]).toEqual(['offline', 0]);
  });

  it('fails with what was thrown, whatever that is', async () => {
    const driver = driverOf();
    for (const cause of ['a string', undefined, null, { message: 'an object' }] as unknown[]) {
      answer = () => Promise.reject(cause);
      driver.connect('give up');
      await settled();
      const change = changes.at(-1) as Change & { type: 'gaveUp' };
      expect([change.type, change.error.cause]).toEqual(['gaveUp', cause]);
    }
  });

  it('asks for credentials once the engine has returned, so that the client may be ended there', async () => {
    const driver = driverOf();
    let seen: string | undefined = undefined;
    credentials = () => {
      seen = driver.state;
      driver.disconnect(ENDING);
      return Promise.resolve({});
    };
    driver.connect('give up');
    expect([seen, driver.state]).toEqual(['dialing', 'closed']);
    await settled();
    expect([changes.map((change) => change.type), transports.length]).toEqual([['connecting', 'closed'], 0]);
    expect(clock.armed).toBe(0);
  });
});
