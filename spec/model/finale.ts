import type { Reader } from './reader.ts';
import type { World } from './world.ts';

/** Duration of the undisturbed time in seconds, after which missing events count as lost. */
const STEPS = 90;

/**
 * From now on the network works, the server answers, and the application reads everything. Every promise is then kept in
 * finite time, and nothing is left at the end.
 */
export async function finish(world: World): Promise<void> {
  await beFriendly(world);
  const { client, model, broker, readers } = world;
  const [, manual] = readers as [Reader, Reader, Reader];
  // The application holds one message all the time: nothing else may wait for it.
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
  // Skipped messages are acknowledged on the next connection, except in a clean session.
  for (let i = 0; i < 4 && model.rules.isPersistent && openDeliveries(world) > 0; i++) {
    client.reconnect().catch(() => {});
    await calm(world, 0);
  }
  const open = broker.session?.deliveries.tags ?? [];
  if (open.length > 0) model.broken(`never acknowledged: ${open.map((tag) => `m${tag}`).join(' ')}`);
  model.arrivals.check();
  const { pending, inFlight, unsettled, stored } = client.stats();
  if (pending + inFlight + unsettled.messages > 0)
    model.broken(`left: ${pending} pending, ${inFlight} in flight, ${unsettled.messages} unsettled`);
  if ((stored?.messages ?? 0) + (stored?.bytes ?? 0) > 0)
    model.broken(`${stored?.messages} messages are left in the store, ${stored?.bytes} bytes`);
  world.check();
  await end(world);
  world.check();
}

async function beFriendly(world: World): Promise<void> {
  const { client, broker, model } = world;
  world.refusals = 0;
  world.pressesNext = false;
  world.cutReads(Infinity);
  world.commits('at once');
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

/** Reads until no more messages come. `held`: the manual reader keeps this number of messages. */
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

/** Messages behind the one that the application holds are acknowledged nevertheless. */
async function probe(world: World): Promise<void> {
  const { model, broker, setting } = world;
  const { receiveMaximum, ackStallTimeout = 30_000 } = setting.client;
  const open = broker.session?.deliveries.tags ?? [];
  // Without such messages, or if it fills the window, there is nothing to check.
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

/** Closes the client: nothing may be left. */
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
