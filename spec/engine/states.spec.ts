import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { nextState, TRANSITIONS, type ClientState, type Input } from '../../lib/engine/states.ts';

const DOCUMENT = new URL('../../docs/state-machine.md', import.meta.url);
const STATES = Object.keys(TRANSITIONS) as ClientState[];
/** In the order of the columns. */
const INPUTS: readonly Input[] = [
  'connect',
  'opened',
  'accepted',
  'wiped',
  'nextServer',
  'lost',
  'gaveUp',
  'ended',
  'reconnect',
  'disconnect',
  'delayElapsed',
];

/** Inputs that change nothing in a state, and why. */
const NO_OPS: Readonly<Record<ClientState, Partial<Record<Input, string>>>> = {
  offline: {
    opened: 'no attempt is under way',
    accepted: 'no attempt is under way',
    wiped: 'no attempt is under way',
    nextServer: 'no attempt is under way',
    lost: 'there is nothing to lose',
    gaveUp: 'there is nothing to give up',
    ended: 'nothing has begun',
    reconnect: 'nothing was connected: that is `connect`',
    delayElapsed: 'no delay is running',
  },
  dialing: {
    connect: 'it is connecting already',
    accepted: 'CONNECT was not sent yet',
    wiped: 'CONNECT was not sent yet',
    reconnect: 'it is connecting already',
    delayElapsed: 'no delay is running',
  },
  connecting: {
    connect: 'it is connecting already',
    opened: 'it is open already',
    reconnect: 'it is connecting already',
    delayElapsed: 'no delay is running',
  },
  connected: {
    connect: 'it is connected already',
    opened: 'it is open already',
    accepted: 'a second CONNACK is a Protocol Error, which is a loss',
    wiped: 'only an attempt wipes',
    nextServer: 'no attempt is under way',
    gaveUp: 'the attempt has succeeded',
    delayElapsed: 'no delay is running',
  },
  disconnecting: {
    connect: 'it is ending: connect again when it is closed',
    opened: 'it is open already',
    accepted: 'nothing is read any more',
    wiped: 'only an attempt wipes',
    nextServer: 'no attempt is under way',
    gaveUp: 'there is nothing to give up',
    ended: 'it is ending already',
    reconnect: 'it is ending',
    disconnect: 'it is ending already',
    delayElapsed: 'no delay is running',
  },
  waiting: {
    connect: 'it connects by itself when the delay is over',
    opened: 'no attempt is under way',
    accepted: 'no attempt is under way',
    wiped: 'no attempt is under way',
    nextServer: 'no attempt is under way',
    lost: 'there is nothing to lose',
  },
  closed: {
    opened: 'no attempt is under way',
    accepted: 'no attempt is under way',
    wiped: 'no attempt is under way',
    nextServer: 'no attempt is under way',
    lost: 'there is nothing to lose',
    gaveUp: 'there is nothing to give up',
    ended: 'it has ended already',
    reconnect: 'nothing is connected: that is `connect`',
    disconnect: 'it has ended already',
    delayElapsed: 'no delay is running',
  },
};

/** The comments of a `const` object's members, by name. */
function comments(file: string): [name: string, text: string][] {
  const source = readFileSync(new URL(`../../lib/engine/${file}`, import.meta.url), 'utf8');
  return Array.from(source.matchAll(/\/\*\* ([^*]+) \*\/ (\w+): \d/g), ([, text, name]) => [
    name as string,
    text as string,
  ]);
}

function diagram(): string {
  const edges = STATES.flatMap((from) => {
    const byTarget = new Map<string, string[]>();
    for (const input of INPUTS) {
      const to = nextState(from, input);
      if (to !== undefined) byTarget.set(to, [...(byTarget.get(to) ?? []), input]);
    }
    return Array.from(byTarget, ([to, inputs]) => `  ${from} --> ${to}: ${inputs.join(', ')}`);
  });
  return ['```mermaid', 'stateDiagram-v2', '  [*] --> offline', ...edges, '```'].join('\n');
}

function table(rows: readonly (readonly string[])[], head: readonly string[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function printed(): string {
  const cells = STATES.map((state) => [
    `\`${state}\``,
    ...INPUTS.map((input) => nextState(state, input) ?? ''),
  ]);
  return `# The states of a client

Printed from \`lib/engine/states.ts\` and \`lib/engine/timers.ts\`; \`spec/engine/states.spec.ts\` holds this file against them
and writes it anew with \`UPDATE_DOCS=1\`.

${diagram()}

- \`dialing\`: credentials and the Network Connection are under way. \`connecting\`: CONNECT is sent, CONNACK awaited.
- \`waiting\`: the delay before the next attempt is running, or the reconnect policy is being asked. \`disconnecting\`: DISCONNECT is on its way out.
- \`gaveUp\`: a first attempt failed and is not retried, or whoever asked for it has left.
- \`nextServer\`: an attempt has failed at one server and goes on with the next one.
- \`wiped\`: the old session is gone, the connection of the one to keep comes next (\`cleanStart: "first"\` on 3.x).
- \`ended\`: a refusal or a loss that is final.

## What leads where

${table(cells, ['state', ...INPUTS.map((input) => `\`${input}\``)])}

An empty cell: the input changes nothing in that state.

## Timers

Every reason for the client to act without input. At most one of each is running, and none in \`offline\` and \`closed\`.

${table(
  comments('timers.ts').map(([name, text]) => [`\`${name}\``, text]),
  ['timer', 'what it does'],
)}
`;
}

describe('the table of states', () => {
  it('lists every input in every state, or says why it changes nothing', () => {
    for (const state of STATES)
      for (const input of INPUTS) {
        const listed = nextState(state, input) !== undefined;
        expect([state, input, listed]).toEqual([state, input, NO_OPS[state][input] === undefined]);
      }
  });

  it('leads only to states it has, and from each of them to the end', () => {
    for (const state of STATES) {
      const reached = new Set<string>([state]);
      for (const one of reached)
        for (const to of Object.values(TRANSITIONS[one as ClientState])) reached.add(to);
      expect(reached).toContain('closed');
      expect([...reached].filter((one) => !STATES.includes(one as ClientState))).toEqual([]);
    }
  });
});

describe('docs/state-machine.md', () => {
  it('is what the tables print', () => {
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(DOCUMENT, printed());
    expect(readFileSync(DOCUMENT, 'utf8')).toBe(printed());
  });

  it('has a line for each timer', () => {
    expect(comments('timers.ts').map(([name]) => name)).toEqual([
      'Connect',
      'KeepAlive',
      'PingResp',
      'Ack',
      'Reconnect',
      'Retry',
      'Watchdog',
      'Close',
      'Stall',
      'LastResort',
      'Trial',
      'Authentication',
    ]);
  });
});
