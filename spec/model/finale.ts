import type { Reader } from './reader.ts';
import type { World } from './world.ts';

/** How long friendly times last before what has not come about is taken for lost, in steps of a second. */
const STEPS = 90;

/**
 * From now on the network holds, the server answers, and the application reads all: whatever was promised comes about
 * in finite time, and at the end nothing is left.
 */
export async function finish(world: World): Promise<void> {
  const { client, model, broker, readers } = world;
  await beFriendly(world);
  const [, manual] = readers as [Reader, Reader, Reader];
  // One message stays with the application for as long as it goes on: nothing else may wait for it.
  await calm(world, 1);
  for (const { options, isSubscribed } of readers)
    for (const topic of options.topicFilters)
      if (isSubscribed && broker.session?.subscriptions.has(topic) !== true)
        model.broken(`${topic} is not subscribed any more`);
  model.checkPublications();
  await probe(world);
  world.check();
  for (let i = manual.held; i > 0; i--) manual.settle(0, client);
  await calm(world, 0);
  // What was passed over is answered on the next connection; a clean session has no such thing.
  for (let i = 0; i < 4 && model.rules.isPersistent && openDeliveries(world) > 0; i++) {
    client.reconnect().catch(() => {});
    await calm(world, 0);
  }
  const open = broker.session?.deliveries.tags ?? [];
  if (open.length > 0) model.broken(`never acknowledged: ${open.map((tag) => `m${tag}`).join(' ')}`);
  model.arrivals.check();
  const { pending, inFlight, unsettled } = client.stats();
  if (pending + inFlight + unsettled.messages > 0)
    model.broken(`left: ${pending} pending, ${inFlight} in flight, ${unsettled.messages} unsettled`);
  world.check();
  await end(world);
  world.check();
}

async function beFriendly(world: World): Promise<void> {
  const { client, broker, model } = world;
  world.refusals = 0;
  world.cutReads(Infinity);
  broker.forgets = false;
  broker.answersAtOnce = true;
  world.press(Infinity);
  world.freeze(false);
  broker.give(Infinity);
  await world.connect();
  for (let i = 0; i < STEPS && client.state !== 'connected'; i++) await world.pass(1_000);
  if (client.state !== 'connected') model.broken(`the client does not come back: it is ${client.state}`);
  await world.settle();
  world.check();
}

/** Reads everything until nothing more comes; `held`: so many messages of the manual reader stay in hand. */
async function calm(world: World, held: number): Promise<void> {
  const { model } = world;
  for (let i = 0, quiet = 0; quiet < 5 && i < STEPS; i++) {
    const before = world.order.now;
    readAll(world, held);
    await world.pass(1_000);
    const waits = model.publications.some(({ outcome }) => outcome === 'pending');
    quiet = before === world.order.now && !waits ? quiet + 1 : 0;
  }
}

function readAll({ readers, client }: World, held: number): void {
  for (const reader of readers) {
    reader.take(50);
    while (reader.held > held) reader.settle(reader.held - 1, client);
  }
}

function openDeliveries({ broker }: World): number {
  return broker.session?.deliveries.tags.length ?? 0;
}

/** What comes behind a message that the application sits on is acknowledged all the same. */
async function probe(world: World): Promise<void> {
  const { model, broker, setting } = world;
  const { receiveMaximum, ackStallTimeout = 30_000 } = setting.client;
  const open = broker.session?.deliveries.tags ?? [];
  // Where nothing is in the way, or the window is full of it, there is nothing to be seen.
  if (open.length === 0 || open.length + 4 > receiveMaximum) return;
  const held = world.readers[1]?.held ?? 0;
  const last = model.arrivals.all.length;
  for (const topic of ['in/a', 'in/b'])
    for (const qos of [1, 2] as const) world.serverPublishes(topic, qos, 10);
  await world.settle();
  for (let i = 0; i < 3; i++) {
    readAll(world, held);
    await world.pass(ackStallTimeout + 100);
  }
  const late = (broker.session?.deliveries.tags ?? []).filter((tag) => tag > last);
  if (late.length > 0)
    model.broken(`${late.map((tag) => `m${tag}`).join(' ')} wait for a message that is not settled`);
}

/** The end: after it nothing is left. */
async function end(world: World): Promise<void> {
  const { client, model, clock } = world;
  let isOver = false;
  const ending = model.publications.length % 2 === 0 ? client.disconnect() : client.drain();
  void ending.then(() => (isOver = true));
  await world.settle();
  if (!isOver) await world.pass(6_000);
  if (!isOver) model.broken('the client does not end');
  await world.settle();
  for (const reader of world.readers) reader.ended();
  const { pending, unsettled, held, subscriptions } = client.stats();
  if (pending + unsettled.messages + held + subscriptions.length > 0)
    model.broken('the client has ended, and has not let go of everything');
  if (clock.armed > 0) model.broken(`${clock.armed} timers are left`);
}
