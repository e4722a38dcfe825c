import { expect, it } from '@jest/globals';
import { ClientStorm } from '../support/client-storm.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { endActors, mosquitto } from './actors.ts';

/** More than the 100 connections that wait for Mosquitto to accept them. */
const CLIENTS = 150;
const LONG = 60_000;

endActors();

describeWithMosquitto('150 clients that connect at once', () => {
  it(
    'all connect, and again after the broker restarted, with their subscriptions, and with two timers each: of the engine and of the stall detector',
    async () => {
      const broker = await mosquitto();
      const storm = new ClientStorm(CLIENTS, broker.url);
      await storm.begin();
      await storm.reach(1);
      expect(storm.timers).toBeLessThan(2.1);
      await broker.restart();
      await storm.connected(2);
      await storm.reach(2);
      expect(storm.timers).toBeLessThan(2.1);
      await storm.end();
    },
    LONG,
  );
});
