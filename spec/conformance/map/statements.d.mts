export interface Statement {
  /** With its version: `v5 MQTT-3.3.1-2`. */
  readonly name: string;
  readonly version: 'v3' | 'v4' | 'v5';
  readonly id: string;
  /** The heading that it stands under. */
  readonly part: string;
  /** `does`, `not ours`, or how a breach is answered: `x`, `close`, a Reason Code. */
  readonly reaction: string;
  readonly text: string;
}

export function statements(): Statement[];
export function statementsIn(name: string): string[];
