import * as fc from 'fast-check';
import { happenings } from './commands.ts';
import { finish } from './finale.ts';
import { World, type MakeClient, type Setting } from './world.ts';

/** How often, and from where. */
export type Runs = Pick<fc.Parameters<unknown>, 'numRuns' | 'seed' | 'path' | 'endOnFailure'>;

/** What came of it: undefined, all held; else what did not, with the seed and the shortest way to it. */
export interface Finding {
  readonly text: string;
  readonly runs: number;
}

/** Has many things happen to a client, in any order, and holds what it does against the model. */
export async function explore(
  makeClient: MakeClient,
  setting: Setting,
  runs: Runs,
): Promise<Finding | undefined> {
  const property = fc.asyncProperty(
    fc.commands([happenings], { maxCommands: 50, size: 'max' }),
    async (commands) => {
      const world = new World(makeClient, setting);
      await world.connect();
      world.check();
      await fc.asyncModelRun(() => ({ model: world.model, real: world }), commands);
      await finish(world);
    },
  );
  const result = await fc.check(property, runs);
  if (!result.failed) return undefined;
  const [commands] = result.counterexample ?? [];
  const steps = commands === undefined ? [] : [...commands].map(String);
  const error =
    result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance);
  return {
    runs: result.numRuns,
    text: [
      `${setting.name}: ${error}`,
      `seed ${result.seed}, path ${result.counterexamplePath}, after ${result.numRuns} runs and ${result.numShrinks} steps`,
      ...steps.map((step) => `  ${step}`),
    ].join('\n'),
  };
}
