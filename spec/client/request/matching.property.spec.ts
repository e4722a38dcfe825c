import { describe, expect } from '@jest/globals';
import { fc, test } from '@fast-check/jest';
import type { PublishPacket } from '../../../lib/codec/packets.ts';
import { Stage, watch, type Outcome } from '../../scenarios/stage.ts';
import { grant, reply, textOf, V5 } from './request-rig.ts';

/** What happens next: a request, a reply to one of the requests so far, or the end of one. */
type Step =
  | { readonly type: 'request' }
  | { readonly type: 'reply'; readonly to: number }
  | { readonly type: 'abort'; readonly to: number }
  /** A reply with Correlation Data that no request has: that of a request, changed. */
  | { readonly type: 'foreign'; readonly to: number; readonly at: number; readonly by: number };

const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant('request' as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constantFrom('reply' as const, 'abort' as const), to: fc.nat(30) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('foreign' as const),
        to: fc.nat(30),
        at: fc.nat(15),
        by: fc.integer({ min: 1, max: 255 }),
      }),
    },
  ),
  { maxLength: 60 },
);

describe('replies', () => {
  test.prop([steps], { numRuns: 60 })(
    'each settle the one request that they belong to, in any order, and once',
    async (all: Step[]) => {
      const stage = new Stage();
      const { client, broker } = await stage.online(V5);
      const requests: { publish: PublishPacket; outcome: () => Outcome; end: AbortController }[] = [];
      const expected: ('pending' | 'aborted' | 'replied')[] = [];
      let unexpected = 0;
      for (const step of all) {
        if (step.type === 'request') {
          const end = new AbortController();
          const outcome = watch(client.request('a', String(requests.length), { signal: end.signal }));
          if (requests.length === 0) await grant(broker);
          requests.push({ publish: await broker.expect('publish'), outcome, end });
          expected.push('pending');
          continue;
        }
        const index = step.to % Math.max(1, requests.length);
        const request = requests[index];
        if (request === undefined) continue;
        if (step.type === 'abort') {
          request.end.abort(new Error('aborted'));
          if (expected[index] === 'pending') expected[index] = 'aborted';
        } else if (step.type === 'reply') {
          reply(broker, request.publish, `reply to ${index}`);
          if (expected[index] === 'pending') expected[index] = 'replied';
          else unexpected++;
        } else {
          const { correlationData, responseTopic } = request.publish.properties as {
            correlationData: Uint8Array;
            responseTopic: string;
          };
          const changed = correlationData.with(step.at, (correlationData[step.at] as number) ^ step.by);
          reply(
            broker,
            { ...request.publish, properties: { responseTopic, correlationData: changed } },
            'foreign',
          );
          unexpected++;
        }
        await stage.clock.advance(0);
      }
      const found = requests.map(({ outcome }, index) => {
        const state = outcome();
        if (state === 'pending') return 'pending';
        if ('error' in state) return 'aborted';
        return textOf(state) === `reply to ${index}` ? 'replied' : `the wrong reply: ${textOf(state)}`;
      });
      expect(found).toEqual(expected);
      const pending = expected.filter((one) => one === 'pending').length;
      expect(client.stats().requests).toMatchObject({ pending, unexpected });
      await stage.end(client, broker);
      expect([stage.clock.armed, client.stats().requests.pending]).toEqual([0, 0]);
    },
    60_000,
  );
});
