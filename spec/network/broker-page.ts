import { BROKERS, type Fact, type TestedBroker, valueOf } from './broker-table.ts';

/*
 * The table of docs/brokers.md.
 */

const NAMES = { 3: '3.1', 4: '3.1.1', 5: '5.0' } as const;

/** Facts in the order of the page: what the broker does, and what this client does about it. */
const ROWS: readonly (readonly [fact: Fact | 'order', broker: string, client: string])[] = [
  ['version 3.1', 'MQTT 3.1', 'if not: `connect()` rejects with a `ConnectError` of phase `connack`'],
  ['version 3.1.1', 'MQTT 3.1.1', 'the default'],
  ['version 5.0', 'MQTT 5.0', 'if not: as with 3.1'],
  ['granted QoS', 'QoS that it grants to a subscription with QoS 2', '`granted` has it'],
  [
    'QoS 2',
    'takes messages of QoS 2',
    'PUBACK: logs a warning and resolves; the message may arrive twice. Closed: rejects with a `PoisonedMessageError`',
  ],
  ['retained', 'sends retained messages to a new subscription', 'each subscription gets its own copies once'],
  [
    'window',
    'QoS 1 messages that it sends before the first is acknowledged',
    'stops reading at `receiveMaximum`, also if the broker has no limit',
  ],
  ['Receive Maximum', 'the same for a Receive Maximum of 10 (5.0)', ''],
  [
    'announced Receive Maximum',
    'Receive Maximum that it announces (5.0)',
    'keeps to it and to `maxInflight`, whichever is smaller',
  ],
  [
    'resume',
    'after a reconnect, sends 1 to 3 (sent before, not acknowledged) and 4 to 7 (new) as (D: with DUP 1)',
    'delivers in this order; a repetition of a message that the application still has is not delivered twice',
  ],
  ['order', 'keeps order if messages keep coming during that', ''],
  [
    'copies',
    'copies of a message that matches two filters of a client, with QoS 0 and QoS 1',
    'with Subscription Identifiers: each subscription gets the message once, with its QoS. Without: asks for the higher QoS for both, and each gets the message at least once',
  ],
  [
    'shared subscriptions',
    '`$share/…`',
    'Shared Subscription Available 0: refuses without sending. Closed: rejects with a `SubscribeError` after three attempts',
  ],
  ['Subscription Identifiers', 'Subscription Identifiers (5.0)', ''],
  ['Topic Alias Maximum', 'Topic Alias Maximum that it announces (5.0)', 'refuses a larger alias'],
  [
    'too large',
    'a message above its limit',
    'limit announced: rejects with a `PublishError`, nothing is sent. Closed, or not answered with `ackTimeout` set: rejects with a `PoisonedMessageError` after three attempts',
  ],
  [
    'Maximum Packet Size',
    'keeps to the Maximum Packet Size of a client (5.0)',
    'if not: closes the connection (0x95) when such a packet comes',
  ],
  [
    'dollar',
    '`#` matches Topic Names that begin with `$`',
    'does not pass them to `#`; `discarded` counts them',
  ],
  [
    'space',
    'Topic Name `a/b c`',
    'closed: rejects with a `PoisonedMessageError` after three attempts (QoS 1 and 2)',
  ],
  ['dot', 'Topic Name `a/b.c`', 'as above; you get the Topic Name that arrives'],
  ['asterisk', 'Topic Name `a/*`', 'invalid: closes the connection when it comes'],
  [
    'Keep Alive',
    'closes the connection of a client that is silent for longer than Keep Alive',
    'sends PINGREQ in time',
  ],
  [
    'taken over',
    'when another client connects with the same Client Identifier',
    '0x8e ends the client; otherwise it reconnects, ever more slowly, and reports `flapping`',
  ],
  ['nobody', 'PUBACK if nobody has subscribed (5.0)', '`publish()` resolves with this `reasonCode`'],
];

/** The values of all versions, grouped: `3.1.1: no; 5.0: yes`. */
function cell(broker: TestedBroker, fact: Fact): string {
  const versions = new Map<string, string[]>();
  for (const version of broker.versions) {
    const value = valueOf(broker, fact, version) ?? '–';
    versions.set(value, [...(versions.get(value) ?? []), NAMES[version]]);
  }
  if (versions.size === 1) return [...versions.keys()].join();
  return [...versions].map(([value, names]) => `${names.join(', ')}: ${value}`).join('; ');
}

/** The table, as Markdown. */
export function brokerTable(): string {
  const rows = [
    ['', ...BROKERS.map(({ name, release }) => `${name} ${release}`), 'this client'],
    ['---', ...BROKERS.map(() => '---'), '---'],
    ...ROWS.map(([fact, broker, client]) => [
      broker,
      ...BROKERS.map((one) => (fact === 'order' ? (one.keepsOrder ? 'yes' : 'no') : cell(one, fact))),
      client,
    ]),
  ];
  return rows.map((row) => `| ${row.join(' | ')} |`.replaceAll('|  |', '| |')).join('\n');
}

/** Facts that the page has. */
export const PRINTED: ReadonlySet<string> = new Set(ROWS.map(([fact]) => fact));
