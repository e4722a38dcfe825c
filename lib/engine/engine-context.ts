import type { Journal } from '../session/journal.ts';
import type { Session } from '../session/session.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions, EnginePorts } from './options.ts';
import type { StoreGate } from './store-gate.ts';
import type { Timers } from './timers.ts';

/** What the parts of one engine share. */
export interface EngineContext {
  readonly session: Session;
  readonly timers: Timers;
  readonly options: EngineOptions;
  readonly ports: EnginePorts;
  readonly effects: Effects;
  /** Only with a store. */
  readonly journal: Journal | undefined;
  readonly gate: StoreGate | undefined;
}
