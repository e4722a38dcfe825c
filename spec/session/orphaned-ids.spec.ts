import { describe, expect, it } from '@jest/globals';
import { OrphanedIds } from '../../lib/session/packet-identifiers.ts';

const ids = [1, 5, 65_535];
const taken = (orphaned: OrphanedIds): boolean[] => ids.map((id) => orphaned.take(id));

describe('OrphanedIds', () => {
  it('has an identifier that was added once, and no other', () => {
    const orphaned = new OrphanedIds();
    expect(taken(orphaned)).toEqual([false, false, false]);
    orphaned.add(5);
    expect(taken(orphaned)).toEqual([false, true, false]);
    expect(taken(orphaned)).toEqual([false, false, false]);
  });

  it('has every identifier once after a session was resumed that another client may have used', () => {
    const orphaned = new OrphanedIds();
    orphaned.addAll();
    expect(taken(orphaned)).toEqual([true, true, true]);
    expect(taken(orphaned)).toEqual([false, false, false]);
  });

  it('has none after the server lost the session', () => {
    const orphaned = new OrphanedIds();
    orphaned.addAll();
    orphaned.add(5);
    orphaned.clear();
    expect(taken(orphaned)).toEqual([false, false, false]);
  });
});
