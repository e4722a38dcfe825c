import { describe, expect, it } from '@jest/globals';
import { PendingPublish, PUBLISHED, PUBLISHED_AT_ONCE } from '../../../lib/client/publish/pending-publish.ts';
import { NO_PROPERTIES } from '../../../lib/codec/packets.ts';
import { ClosedError, PublishError } from '../../../lib/errors.ts';
import { Stage } from '../../../lib/session/exchange.ts';

const pending = () => new PendingPublish('a', 'x', 1, false, undefined);

describe('a publish that is under way', () => {
  it('resolves with what the server said', async () => {
    const [usual, unmatched] = [pending(), pending()];
    usual.settle(0, NO_PROPERTIES);
    unmatched.settle(0x10, { reasonString: 'nobody' });
    await expect(usual.promise).resolves.toBe(PUBLISHED);
    await expect(unmatched.promise).resolves.toEqual({
      reasonCode: 0x10,
      properties: { reasonString: 'nobody' },
    });
    expect(usual.stage).toBe(Stage.Over);
  });

  it('keeps what came with code 0', async () => {
    const one = pending();
    one.settle(0, { userProperties: [['a', 'b']] });
    await expect(one.promise).resolves.toEqual({
      reasonCode: 0,
      properties: { userProperties: [['a', 'b']] },
    });
  });

  it('rejects with a reason that is long cut in the message, and whole in the properties', async () => {
    const refused = pending();
    const reasonString = 'x'.repeat(65_000);
    refused.settle(0x97, { reasonString });
    const error = (await refused.promise.catch((thrown: unknown) => thrown)) as PublishError;
    expect(error.message).toBe(`the server refused the message: Quota exceeded (0x97): ${'x'.repeat(256)}…`);
    expect(error.properties).toEqual({ reasonString });
  });

  it('rejects where the server refused, with the reason in words', async () => {
    const refused = pending();
    refused.settle(0x97, { reasonString: 'come back tomorrow' });
    const error = (await refused.promise.catch((thrown: unknown) => thrown)) as PublishError;
    expect(error).toBeInstanceOf(PublishError);
    expect(error).toMatchObject({
      code: 'ERR_MQTT_PUBLISH',
      reasonCode: 0x97,
      delivery: 'rejected',
      kept: false,
      properties: { reasonString: 'come back tomorrow' },
    });
    expect(error.message).toMatch(/Quota exceeded.*0x97.*come back tomorrow/i);
  });

  it('settles once, and each promise is its own', async () => {
    const [one, other] = [pending(), pending()];
    const reason = new Error('no patience');
    one.failed(reason);
    one.settle(0, NO_PROPERTIES);
    other.fail(new ClosedError('over', { delivery: 'not-sent', kept: false }));
    await expect(one.promise).rejects.toBe(reason);
    await expect(other.promise).rejects.toMatchObject({ delivery: 'not-sent' });
  });
});

describe('the outcome of QoS 0', () => {
  it('is one for all, and nobody can change it', async () => {
    await expect(PUBLISHED_AT_ONCE).resolves.toBe(PUBLISHED);
    expect(Object.isFrozen(PUBLISHED) && Object.isFrozen(PUBLISHED.properties)).toBe(true);
  });
});
