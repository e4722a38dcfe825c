import { describe, expect, it } from '@jest/globals';
import { NO_PROPERTIES } from '../../lib/codec/packets.ts';
import { ClosedError } from '../../lib/errors.ts';
import { Exchange, Stage } from '../../lib/session/exchange.ts';
import { utf8 } from '../support/packets.ts';
import { Waiter } from '../support/recorder.ts';

function begun(payload: Uint8Array | string = 'm'): { exchange: Exchange; waiter: Waiter } {
  const exchange = new Exchange('a', payload, 1, false, undefined);
  const waiter = new Waiter();
  exchange.waiter = waiter;
  return { exchange, waiter };
}

describe('Exchange', () => {
  it('tells its waiter once, however often it ends', () => {
    const { exchange, waiter } = begun();
    exchange.settle(0x10, NO_PROPERTIES);
    exchange.settle(0, NO_PROPERTIES);
    exchange.fail(new ClosedError('late'));
    exchange.end(new ClosedError('later'));
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0x10, error: undefined });
    expect(exchange.stage).toBe(Stage.Over);
  });

  it('goes on after its promise alone has failed', () => {
    const { exchange, waiter } = begun();
    exchange.stage = Stage.Published;
    exchange.fail(new ClosedError('closed'));
    expect(waiter.error).toBeInstanceOf(ClosedError);
    expect(exchange.stage).toBe(Stage.Published);
    exchange.settle(0, NO_PROPERTIES);
    expect(waiter.told).toBe(1);
  });

  it('is over after it has ended without an acknowledgement', () => {
    const { exchange, waiter } = begun();
    exchange.end(new ClosedError('closed'));
    expect(waiter.told).toBe(1);
    expect(exchange.stage).toBe(Stage.Over);
  });

  it('keeps a copy of a payload that its caller gets back', () => {
    const payload = utf8('before');
    const { exchange } = begun(payload);
    exchange.copyPayload();
    payload.fill(0);
    expect(exchange.payload).toEqual(utf8('before'));
    const text = begun('text').exchange;
    text.copyPayload();
    expect(text.payload).toBe('text');
  });

  it('drops its Topic Alias without changing the properties of its caller', () => {
    const properties = { topicAlias: 1, contentType: 'text' };
    const exchange = new Exchange('a', '', 1, false, properties);
    exchange.dropTopicAlias();
    expect(exchange.properties).toEqual({ contentType: 'text' });
    expect(properties.topicAlias).toBe(1);
  });
});
