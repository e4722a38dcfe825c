/** The store of a client. */
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type * as Store from '../../lib/store/store.ts';
import type { SessionStore } from '../../lib/store/session-store.ts';
import type { Workload } from './task.ts';

// A variable, so that the compiler does not look for a built package.
const NAME: string = 'mqtt-await/store';

/** A directory beside the programs of the bench, which is removed at the end of the process. */
export function scratch(): string {
  const directory = mkdtempSync(join(dirname(process.argv[1] as string), 'store-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The store of a workload, in a directory of its own unless one is given. */
export async function storeOf({ store }: Workload, directory?: string): Promise<SessionStore | undefined> {
  if (store === 'none') return undefined;
  const { levelStore } = (await import(NAME)) as typeof Store;
  return levelStore(directory ?? scratch(), { sync: store === 'synced' });
}

/** What a client with a store needs. */
export const KEPT = { clientId: 'bench', cleanStart: false } as const;
