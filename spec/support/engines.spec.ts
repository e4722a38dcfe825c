import { describe, expect, it } from '@jest/globals';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import { brief, offline, online, withSession } from './engines.ts';
import {
  connack,
  disconnect,
  pingresp,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  suback,
  unsuback,
} from './packets.ts';
import { Waiter } from './recorder.ts';

describe('engines', () => {
  it('are created in a state, with empty output and log', () => {
    for (const [rig, state] of [
      [offline(), 'offline'],
      [online(), 'connected'],
      [withSession({ protocolVersion: 4 }), 'connected'],
    ] as const) {
      expect(rig.engine.state).toBe(state);
      expect(rig.effects.take()).toEqual([]);
      expect(rig.sent()).toEqual([]);
    }
  });

  it('are called for every timer that is due when time passes', () => {
    const rig = online();
    rig.engine.lost(undefined, rig.now);
    const before = rig.now;
    rig.advance(40_000);
    expect(rig.now).toBe(before + 40_000);
    expect(rig.effects.take()).toEqual([
      'changed: disconnected',
      'changed: connecting',
      'dial 1',
      'hang up',
      'changed: disconnected',
      'changed: connecting',
      'dial 2',
    ]);
  });

  it('write packets, which brief() summarises', () => {
    const rig = online();
    rig.publish('a', { qos: 0 });
    rig.publish('b');
    rig.send(pubrel(7));
    expect(brief(rig.sent())).toEqual(['publish a', 'publish b 1', 'pubcomp 7 0x92']);
    expect(brief(rig.sent())).toEqual([]);
  });
});

describe('packets', () => {
  it('are valid as they are', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    const all = [
      connack(),
      publish(),
      publish({ packetId: 1 }),
      puback(1),
      pubrec(1),
      pubrel(1),
      pubcomp(1),
      suback(1, 0),
      unsuback(1, 0),
      pingresp,
      disconnect(),
    ];
    for (const packet of all) {
      decoder.push(encode(packet, 5));
      expect(decoder.next()).toMatchObject(packet);
    }
  });
});

describe('Waiter', () => {
  it('counts its calls', () => {
    const waiter = new Waiter();
    waiter.answered([{ topicFilter: 'a', reasonCode: 1 }], new Set());
    waiter.settled(0, {});
    expect(waiter).toMatchObject({ told: 2, reasonCodes: [1], reasonCode: 0 });
  });
});
