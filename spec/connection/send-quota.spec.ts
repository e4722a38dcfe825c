import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { SendQuota } from '../../lib/connection/send-quota.ts';

describe('SendQuota', () => {
  it('v5 MQTT-4.9.0-1, U-4.9-a is never below 0 nor above its limit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.array(fc.boolean(), { maxLength: 60, size: 'max' }),
        (limit, script) => {
          const quota = new SendQuota(limit);
          let used = 0;
          for (const take of script) {
            if (take) quota.take();
            else quota.give();
            used = Math.max(0, used + (take ? 1 : -1));
            expect(quota.used).toBe(used);
            expect(quota.free).toBe(Math.max(0, limit - used));
          }
        },
      ),
    );
  });

  it('has no free place until fewer than a lowered limit are in use', () => {
    const quota = new SendQuota(1);
    quota.take();
    quota.take();
    quota.give();
    expect(quota.free).toBe(0);
    quota.give();
    expect(quota.free).toBe(1);
  });
});
