import { readFileSync, writeFileSync } from 'node:fs';
import type { Fault } from '../support/faults.ts';
import { explore, type Finding } from './run.ts';
import { settings } from './settings.ts';
import type { MakeClient, Setting } from './world.ts';

/** Where the model finds a planted bug at once: the first run with this seed in this setting. */
export interface Pin {
  /** Index in `settings`. */
  readonly setting: number;
  readonly seed: number;
}

const FILE = new URL('pins.json', import.meta.url);

export function readPins(): ReadonlyMap<string, Pin> {
  return new Map(Object.entries(JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, Pin>));
}

export function writePins(faults: readonly Fault[], pins: ReadonlyMap<string, Pin>): void {
  const known = faults.flatMap(({ name }) => (pins.has(name) ? [[name, pins.get(name)]] : []));
  writeFileSync(FILE, `${JSON.stringify(Object.fromEntries(known), undefined, 2)}\n`);
}

/** What the run of `pin` finds; undefined for nothing. */
export function tryPin(makeClient: MakeClient, { setting, seed }: Pin): Promise<Finding | undefined> {
  return explore(makeClient, settings[setting] as Setting, { numRuns: 1, seed, endOnFailure: true });
}
