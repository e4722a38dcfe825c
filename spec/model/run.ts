import * as fc from 'fast-check';
import { happenings, storedHappenings } from './commands.ts';
import { finish } from './finale.ts';
import { World, type MakeClient, type Setting } from './world.ts';

/** Number of runs, and where they start: `seed`, `path` and `replayPath` of a finding reproduce it. */
export interface Runs extends Pick<fc.Parameters<unknown>, 'numRuns' | 'seed' | 'path' | 'endOnFailure'> {
  readonly replayPath?: string;
}

/** Outcome of runs: undefined, or a violation with its seed and shortest sequence of commands. */
export interface Finding {
  readonly text: string;
  readonly runs: number;
}

/** Applies random commands to a client and compares it with the model. */
export async function explore(
  makeClient: MakeClient,
  setting: Setting,
  { replayPath, ...runs }: Runs,
): Promise<Finding | undefined> {
  const property = fc.asyncProperty(
    fc.commands([setting.store === undefined ? happenings : storedHappenings], {
      maxCommands: 50,
      size: 'max',
      ...(replayPath !== undefined && { replayPath }),
    }),
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
  // fast-check prints the path of the commands at the end. Those after the failure never ran.
  const replay = /replayPath="[^"]*"/.exec(fc.stringify(commands))?.[0];
  const steps = [...(commands ?? [])].filter((one) => (one as { hasRan?: boolean }).hasRan !== false);
  const error =
    result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance);
  return {
    runs: result.numRuns,
    text: [
      `${setting.name}: ${error}`,
      `seed ${result.seed}, path "${result.counterexamplePath}", ${replay}, after ${result.numRuns} runs and ${result.numShrinks} steps`,
      ...steps.map((step) => `  ${String(step)}`),
    ].join('\n'),
  };
}
