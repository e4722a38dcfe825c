import { expect, it } from '@jest/globals';
import { Framer } from '../../lib/codec/framer.ts';

it('a framer has each pushed chunk protected once, as soon as a payload points into it', () => {
  const seen: Uint8Array[] = [];
  const framer = new Framer({ protocolVersion: 5, protect: (chunk) => void seen.push(chunk) });
  const chunk = Uint8Array.of(0xd0, 0, 0xd0, 0);
  framer.push(chunk);
  framer.next();
  expect(seen).toEqual([]);
  framer.retain();
  framer.next();
  framer.retain();
  expect(seen).toEqual([chunk]);
  // Memory that the framer has allocated is protected by whoever gave it.
  framer.allocate().set([0xd0, 0]);
  framer.commit(2);
  framer.next();
  framer.retain();
  expect(seen).toHaveLength(1);
});
