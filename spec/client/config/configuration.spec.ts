import { describe, expect, it } from '@jest/globals';
import { Configuration } from '../../../lib/client/config/settings.ts';
import type { ClientOptions } from '../../../lib/client/config/client-options.ts';
import { Stage } from '../../scenarios/stage.ts';
import { firstAttempt } from '../../support/dial-contexts.ts';

function configuration(given: ClientOptions = {}): Configuration<undefined> {
  return new Configuration('mqtt://h', given, () => 0.5);
}

describe('configure()', () => {
  it('checks like the constructor, and changes nothing if anything is wrong', () => {
    const some = configuration({ maxInflight: 7 });
    const before = some.settings;
    expect(() => some.change({ maxInflight: 9, ackTimeout: -1 })).toThrow(RangeError);
    expect(() => some.change({ clientId: 'b' } as object)).toThrow('expected one of');
    expect(some.settings).toBe(before);
    expect(some.settings.engine.maxInflight).toBe(7);
  });

  it('keeps all other options, and the object that the engine reads', async () => {
    const some = configuration({ maxQueued: 5, username: 'me', password: 'secret' });
    const { engine } = some.settings;
    const { clientId } = engine;
    some.change({ maxInflight: 3 });
    some.change({ maxQueuedBytes: 9 });
    expect(some.settings.engine).toBe(engine);
    expect(engine).toMatchObject({ clientId, maxInflight: 3, queueLimits: { messages: 5, bytes: 9 } });
    await expect(some.settings.connectInputs(firstAttempt(), {})).resolves.toMatchObject({ username: 'me' });
  });

  it('keeps the Keep Alive of connect(), unless it names another', () => {
    const some = configuration({ keepAlive: 60 });
    some.settings.engine.keepAlive = 10;
    some.change({ maxInflight: 3 });
    expect(some.settings.engine.keepAlive).toBe(10);
    some.change({ keepAlive: 20 });
    expect(some.settings.engine.keepAlive).toBe(20);
    some.change({ keepAlive: undefined });
    expect(some.settings.engine.keepAlive).toBe(60);
  });

  it('sets a logger, and removes it with null', async () => {
    const stage = new Stage();
    const lines: string[] = [];
    const write = (line: string) => void lines.push(line);
    const logger = { debug: write, info: write, warn: write, error: write };
    const { client, broker } = await stage.online();
    client.configure({ logger });
    expect(client.userData).toBeUndefined();
    await stage.end(client, broker);
    expect(lines).toEqual(['closed']);
    client.configure({ logger: null });
    const next = stage.connect(client);
    await next;
    expect(lines).toEqual(['closed']);
  });

  it('changes maxInflight on the present connection', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 1 });
    const all = [1, 2, 3, 4].map((n) => client.publish('a', n, { qos: 1 }));
    const [first] = [await broker.expect('publish')];
    expect(broker.unread).toEqual([]);
    client.configure({ maxInflight: 2 });
    const second = await broker.expect('publish');
    client.configure({ maxInflight: 1 });
    broker.send({ type: 'puback', packetId: first?.packetId ?? 0 });
    await stage.clock.advance(1);
    expect(broker.unread).toEqual([]);
    broker.send({ type: 'puback', packetId: second.packetId ?? 0 });
    broker.ackPublishes();
    await stage.until(Promise.all(all));
    await stage.end(client, broker);
  });
});
