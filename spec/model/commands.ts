import * as fc from 'fast-check';
import type { QoS } from '../../lib/codec/packets.ts';
import { BYTE_KINDS } from '../support/payload-kinds.ts';
import type { Model } from './model.ts';
import { TOPICS, type Bound, type PayloadKind, type World } from './world.ts';

/** A command, with its description. */
class Happening implements fc.AsyncCommand<Model, World> {
  readonly #words: string;
  readonly #happen: (world: World) => unknown;

  constructor(words: string, happen: (world: World) => unknown) {
    this.#words = words;
    this.#happen = happen;
  }

  check(): boolean {
    return true;
  }

  async run(_model: Model, world: World): Promise<void> {
    await this.#happen(world);
    await world.settle();
    world.check();
  }

  toString(): string {
    return this.#words;
  }
}

type Happenings = fc.Arbitrary<Happening>;

const qos: fc.Arbitrary<QoS> = fc.constantFrom(0, 1, 1, 2, 2);
const count = fc.integer({ min: 1, max: 5 });
const which = fc.nat({ max: 20 });
/** Above 16 KiB a payload is not copied. */
const size = fc.constantFrom(8, 8, 8, 300, 20_000);

const publish: Happenings = fc
  .tuple(
    qos,
    count,
    size,
    fc.constantFrom<PayloadKind>(...BYTE_KINDS, 'text', 'text', 'text'),
    fc.constantFrom<Bound>('none', 'none', 'signal', 700),
  )
  .map(([level, times, bytes, kind, bound]) => {
    const how = bound === 'none' ? '' : bound === 'signal' ? ', can be aborted' : `, within ${bound} ms`;
    return new Happening(`publish ${times} x QoS ${level}, ${bytes} bytes as ${kind}${how}`, (world) => {
      for (let i = 0; i < times; i++) world.publish(level, bytes, kind, bound);
    });
  });

const abort: Happenings = which.map((n) => new Happening(`abort call ${n}`, (world) => world.abort(n)));

const serverPublishes: Happenings = fc
  .tuple(qos, count, fc.constantFrom(...TOPICS), fc.constantFrom(8, 8, 300, 9_000))
  .map(
    ([level, times, topic, bytes]) =>
      new Happening(`server publishes ${times} x QoS ${level} to ${topic}, ${bytes} bytes`, (world) => {
        for (let i = 0; i < times; i++) world.serverPublishes(topic, level, bytes);
      }),
  );

const answer: Happenings = count.map(
  (n) => new Happening(`server gives ${n} answers`, ({ broker }) => broker.give(n)),
);

const refuse: Happenings = fc
  .constantFrom(0x80, 0x97)
  .map((code) => new Happening(`server refuses a message with ${code}`, ({ broker }) => broker.refuse(code)));

const answersAtOnce: Happenings = fc.boolean().map(
  (atOnce) =>
    new Happening(atOnce ? 'server answers at once' : 'server takes its time', ({ broker }) => {
      broker.answersAtOnce = atOnce;
      if (atOnce) broker.give(Infinity);
    }),
);

const cut: Happenings = fc
  .tuple(
    fc.constantFrom('between packets' as const, 'in the middle' as const),
    fc.nat({ max: 3 }),
    fc.nat({ max: 5 }),
  )
  .map(([where, forgets, refusals]) => {
    const then = `${forgets === 0 ? ', and the session is lost' : ''}${refusals > 3 ? ', and no way back for a while' : ''}`;
    return new Happening(`connection breaks ${where}${then}`, (world) => {
      if (forgets === 0) world.broker.forgets = true;
      if (refusals > 3) world.refusals = refusals - 3;
      world.cut(where);
    });
  });

const giveUpHalfSent: Happenings = fc.constantFrom<Bound>('signal', 700).map(
  (bound) =>
    new Happening('a large message is half sent, and given up', async (world) => {
      world.press(9_000);
      world.publish(1, 20_000, 'Buffer', bound);
      await world.pass(750);
      world.abort(20);
    }),
);

const slowly: Happenings = qos.map(
  (level) =>
    new Happening(`two large messages, QoS ${level}, leave bit by bit`, async (world) => {
      world.press(9_000);
      for (let i = 0; i < 2; i++) world.publish(level, 20_000, 'Buffer', 'none');
      await world.settle();
      world.press(Infinity);
    }),
);

/** 1.5 x Keep Alive: by then a client has noticed. */
const silence: Happenings = fc.constant(
  new Happening('server stands still for 17 s', async (world) => {
    world.freeze(true);
    await world.pass(17_000);
  }),
);

const cutWhileAnswering: Happenings = fc.nat({ max: 4 }).map(
  (forgets) =>
    new Happening(
      `connection breaks while the client answers${forgets === 0 ? ', and the session is lost' : ''}`,
      async (world) => {
        world.press(0);
        world.broker.give(Infinity);
        for (const reader of world.readers) reader.take(1);
        world.readers[1]?.settle(0, world.client);
        await world.settle();
        if (forgets === 0) world.broker.forgets = true;
        world.cut('between packets');
      },
    ),
);

const waitsOverLoss: Happenings = fc.constant(
  new Happening('messages wait, their session is lost, and others come', async (world) => {
    const come = (): void => {
      for (let i = 0; i < 8; i++) world.serverPublishes('in/a', 1, 8);
    };
    come();
    await world.settle();
    world.broker.forgets = true;
    world.cut('between packets');
    await world.pass(1_100);
    come();
  }),
);

const pass: Happenings = fc
  .constantFrom(20, 120, 120, 1_100, 1_100, 4_000, 11_000)
  .map((ms) => new Happening(`${ms} ms pass`, (world) => world.pass(ms)));

const take: Happenings = fc
  .tuple(fc.nat({ max: 2 }), fc.constantFrom(1, 2, 5))
  .map(
    ([n, times]) =>
      new Happening(`reader ${'abc'[n]} takes ${times}`, ({ readers }) => readers[n]?.take(times)),
  );

const settle: Happenings = which.map(
  (n) => new Happening(`reader b settles ${n}`, ({ readers, client }) => readers[1]?.settle(n, client)),
);

const breakLoop: Happenings = fc.nat({ max: 2 }).map(
  (n) =>
    new Happening(`reader ${'abc'[n]} breaks its loop`, (world) => {
      const reader = world.readers[n];
      if (reader !== undefined) world.breakLoop(reader);
    }),
);

const press: Happenings = fc
  .constantFrom(0, 50, 9_000, Infinity, Infinity)
  .map(
    (room) =>
      new Happening(room < Infinity ? `network takes ${room} bytes more` : 'network takes again', (world) =>
        world.press(room),
      ),
  );

const freeze: Happenings = fc
  .boolean()
  .map((is) => new Happening(is ? 'server stands still' : 'server goes on', (world) => world.freeze(is)));

const reads: Happenings = fc
  .constantFrom(1, 7, 1_000, Infinity)
  .map((n) => new Happening(`reads bring ${n} bytes`, (world) => world.cutReads(n)));

const reconnect: Happenings = fc.constant(
  new Happening('reconnect()', ({ client }) => void client.reconnect().catch(() => {})),
);

const disconnect: Happenings = fc
  .tuple(fc.constantFrom('keep' as const, 'keep' as const, 'discard' as const), fc.boolean())
  .map(
    ([pending, again]) =>
      new Happening(`disconnect(${pending})${again ? ', connect()' : ''}`, async (world) => {
        if (world.client.state !== 'closed' && world.client.state !== 'offline')
          await world.disconnect(pending);
        if (again) await world.connect();
      }),
  );

const connect: Happenings = fc.constant(new Happening('connect()', (world) => world.connect()));

const publishStored: Happenings = fc
  .tuple(
    fc.constantFrom<QoS>(1, 2),
    count,
    fc.constantFrom<Bound>('none', 'signal'),
    fc.constantFrom('acknowledged' as const, 'stored' as const),
    fc.constantFrom(undefined, undefined, 1, 5),
  )
  .map(
    ([level, times, bound, until, expiry]) =>
      new Happening(
        `publish ${times} x QoS ${level}, until ${until}${bound === 'signal' ? ', can be aborted' : ''}${expiry === undefined ? '' : `, expires after ${expiry} s`}`,
        (world) => {
          const wishes = {
            until,
            ...(expiry !== undefined && world.broker.options.protocolVersion === 5 && { expiry }),
          };
          for (let i = 0; i < times; i++) world.publish(level, 8, 'text', bound, wishes);
        },
      ),
  );

const commits: Happenings = fc
  .constantFrom('at once' as const, 'held' as const)
  .map(
    (mode) =>
      new Happening(mode === 'held' ? 'hold commits' : 'make commits', (world) => world.commits(mode)),
  );

const makeOneCommit: Happenings = fc.constant(
  new Happening('make one commit', (world) => world.makeOneCommit()),
);

/** What a process does while it is killed. */
const LAST_WORDS: Readonly<Record<string, (world: World) => void>> = {
  'it is idle': () => {},
  'it publishes': (world) => {
    for (let i = 0; i < 3; i++) world.publish(i === 0 ? 1 : 2, 8, 'text', 'none', { until: 'stored' });
  },
  'it is answered': ({ broker }) => broker.give(3),
  'it commits': (world) => world.makeOneCommit(),
  'it gives up': (world) => {
    for (let i = 0; i < 3; i++) world.abort(20);
  },
};

const crash: Happenings = fc
  .tuple(
    fc.constantFrom('process' as const, 'process' as const, 'machine' as const),
    fc.constantFrom(...Object.keys(LAST_WORDS)),
    fc.nat({ max: 12 }),
    fc.nat({ max: 5 }),
  )
  .map(
    ([of, doing, ticks, forgets]) =>
      new Happening(
        `crash of the ${of}, ${ticks} ticks later, while ${doing}${forgets === 0 ? ', and the session is lost' : ''}`,
        async (world) => {
          if (forgets === 0) world.broker.forgets = true;
          LAST_WORDS[doing]?.(world);
          await world.crash(of, ticks);
        },
      ),
  );

const crashWhileAnswering: Happenings = fc.tuple(fc.boolean(), fc.nat({ max: 12 })).map(
  ([isHeld, ticks]) =>
    new Happening(
      `crash while the client answers${isHeld ? ', and commits are held' : ''}`,
      async (world) => {
        if (isHeld) world.commits('held');
        world.press(0);
        world.broker.give(Infinity);
        for (const reader of world.readers) reader.take(2);
        world.readers[1]?.settle(0, world.client);
        await world.settle();
        await world.crash('process', ticks);
      },
    ),
);

/** A commit is under way on one connection, and made on the next one, or never. */
const commitOverLoss: Happenings = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()).map(
  ([isCrash, isPressed, isAnsweredFirst]) =>
    new Happening(
      `connection breaks while commits are held, ${isAnsweredFirst ? 'after' : 'before'} PUBREC${isPressed ? ', the next one takes nothing' : ''}${isCrash ? ', and the process crashes' : ', and they are made'}`,
      async (world) => {
        world.publish(2, 8, 'text', 'none');
        world.serverPublishes('in/a', 2, 8);
        await world.settle();
        world.commits('held');
        const begin = [
          () => world.broker.give(Infinity),
          () => {
            for (const reader of world.readers) reader.take(5);
          },
        ];
        for (const one of isAnsweredFirst ? begin : begin.toReversed()) {
          one();
          await world.settle();
        }
        world.pressesNext = isPressed;
        world.cut('between packets');
        await world.pass(1_100);
        if (!isAnsweredFirst) world.makeOneCommit();
        await world.settle();
        world.broker.give(Infinity);
        await world.settle();
        if (!isAnsweredFirst) world.makeOneCommit();
        await world.settle();
        if (isCrash) await world.crash('process', 0);
        world.commits('at once');
        await world.settle();
        world.press(Infinity);
      },
    ),
);

const givenUpWhileStored: Happenings = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.boolean()).map(
  ([times, isCrash]) =>
    new Happening(
      `${times} of 3 calls are given up during their commit, behind a backlog${isCrash ? ', and the process crashes' : ''}`,
      async (world) => {
        for (let i = 0; i < 6; i++) world.publish(1, 8, 'text', 'none');
        await world.settle();
        world.commits('held');
        for (let i = 0; i < 3; i++) world.publish(1, 8, 'text', 'signal');
        await world.settle();
        for (let i = 0; i < times; i++) world.abort(20);
        // The next commit is under way while the store is read.
        world.makeOneCommit();
        for (let i = 0; i < 4; i++) {
          await world.settle();
          world.broker.give(3);
        }
        world.commits('at once');
        await world.settle();
        if (isCrash) await world.crash('process', 0);
      },
    ),
);

const storeFails: Happenings = fc.constant(new Happening('the store fails', (world) => world.storeFails()));

/** All commands, frequent ones more often. */
export const happenings: Happenings = fc.oneof(
  { weight: 10, arbitrary: publish },
  { weight: 2, arbitrary: abort },
  { weight: 8, arbitrary: serverPublishes },
  { weight: 6, arbitrary: answer },
  { weight: 1, arbitrary: refuse },
  { weight: 2, arbitrary: answersAtOnce },
  { weight: 4, arbitrary: cut },
  { weight: 2, arbitrary: cutWhileAnswering },
  { weight: 1, arbitrary: waitsOverLoss },
  { weight: 1, arbitrary: giveUpHalfSent },
  { weight: 1, arbitrary: slowly },
  { weight: 1, arbitrary: silence },
  { weight: 6, arbitrary: pass },
  { weight: 6, arbitrary: take },
  { weight: 4, arbitrary: settle },
  { weight: 2, arbitrary: breakLoop },
  { weight: 2, arbitrary: press },
  { weight: 1, arbitrary: freeze },
  { weight: 1, arbitrary: reads },
  { weight: 1, arbitrary: reconnect },
  { weight: 1, arbitrary: disconnect },
  { weight: 1, arbitrary: connect },
);

/** The same, with what happens to a client with a store. */
export const storedHappenings: Happenings = fc.oneof(
  { weight: 62, arbitrary: happenings },
  { weight: 10, arbitrary: publishStored },
  { weight: 4, arbitrary: commits },
  { weight: 4, arbitrary: makeOneCommit },
  { weight: 6, arbitrary: crash },
  { weight: 2, arbitrary: crashWhileAnswering },
  { weight: 2, arbitrary: commitOverLoss },
  { weight: 1, arbitrary: givenUpWhileStored },
  { weight: 1, arbitrary: storeFails },
);
