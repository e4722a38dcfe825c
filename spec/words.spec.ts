import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { codeOf } from './support/source.ts';

/*
 * Names in lib/ are those of the MQTT specification and of Node.js, and one idea has one name. These lists hold names
 * and phrases that were replaced, so that they do not come back.
 */

const LIB = fileURLToPath(new URL('../lib/', import.meta.url));

const FILES = readdirSync(LIB, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(LIB, join(entry.parentPath, entry.name)).split(sep).join('/'))
  .toSorted();

const read = (file: string): string => readFileSync(join(LIB, file), 'utf8');

/** What to say instead of a name, by the name. A name is compared as a whole, and without the `#` of a private member. */
const NAMES: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    ClientRuntime: 'Parts',
    'NetworkOptions, transport': 'Road road roads RoadOptions RoadSettings RoadDial',
    'DialContext, DialPhase': 'Passage passage Leg leg reached',
    'Endpoint, EndpointOverrides': 'Place choose locate refer',
    nextServer: 'elsewhere goesElsewhere Which',
    'noteServerReference, serverTimeout, onDial': 'heed dialled',
    'connack, negotiate': 'introduce accepting',
    'connect-errors: timeoutError, protocolError, lostError, disconnectError':
      'refusals lateAt brokenBy lostBy endedBy refusedBy noneOf',
    'Shutdown, DisconnectRequest': 'Abandoning abandoning Ending',
    'Timers, KeepAliveTimer': 'overdue Liveness liveness Deadlines deadlines',
    'counts, maxTimerLag, failures': 'Load lateness',
    'skip, abandon, release, defer':
      'giveWay givesWay forgo passOver passedOver leaveOut loosen waive waived decline setAside',
    'matchRedelivery, Redelivery, IdentifierInUse, classify, resendPubrec': 'tie Tied Clash judge',
    'addWaiter, admitWaiters, hasRoomFor': 'letIn admits Outside outside takeOutside',
    'orphaned identifiers, unknownSession': 'cleared halfDone takeHalfDone inherited',
    'maxLosses, minSpan, soloLosses': 'convicted convict disturbance absolve',
    'publishOrder, connectionNumber, lastFlushAt': 'ordinal epoch movedAt',
    yieldToEventLoop: 'breath takeBreath',
    closeGracefully: 'retire retired retiring retirement',
    'WriteBacklog, bytesPending, Flushed': 'Holding heldBack Taken',
    'allocate, onRead, onData, onDrain, onClose': 'chunkOf',
    PayloadRetention: 'Keeping keeping',
    UnmatchedMessages: 'Parking parking park parked Parked',
    StallDetector: 'Stalling stalling',
    'Consumer, MessageWaiter, MessageSource': 'Taker taker',
    'Notifier, onProgress': 'Watchers watchers Outlet outlet',
    ValueOrFunction: 'Askable',
    withCancellation: 'bound',
    'checkKeys, checkEncodable': 'record asArgument',
    'a name that says what it holds': 'Passing passing PATIENCE',
    'pendingHeader, retain, committed, reset': 'faults pin earnest',
  }).flatMap(([instead, names]) => names.split(' ').map((name) => [name, instead])),
);

/** Nouns that end like gerunds. */
const NOUNS = ['incoming', 'outgoing', 'ring'];

/** Phrases that make a reader stop. */
const PHRASES = [
  'comes to its end',

  'give way',
  'gives way',
  'how it stands',
  'how-manieth',
  'let go',
  'lets go',
  'sixteenth rule',
  'the way to the server',
  'told of',
  'where it is none',
  'whoever',
];

/** The words of `code`: names as a whole. */
function nameComplaints(file: string, source: string): string[] {
  const names = new Set(codeOf(source).match(/[A-Za-z_$][\w$]*/g) ?? []);
  return [...names].flatMap((name) =>
    Object.hasOwn(NAMES, name) ? [`${file} says ${name}: ${NAMES[name]}`] : [],
  );
}

function phraseComplaints(file: string, source: string): string[] {
  const text = source.toLowerCase().replaceAll(/\s+(?:\*\s+|\/\/\s+)?/g, ' ');
  return PHRASES.filter((phrase) => text.includes(phrase)).map((phrase) => `${file} says "${phrase}"`);
}

function fileNameComplaints(file: string): string[] {
  const [last] = basename(file, '.ts').split('-').toReversed();
  return last?.endsWith('ing') === true && !NOUNS.includes(last) ? [`${file} is a gerund`] : [];
}

describe('the words of lib/', () => {
  it('have one name for one idea', () => {
    expect(FILES.flatMap((file) => nameComplaints(file, read(file)))).toEqual([]);
  });

  it('are plain', () => {
    expect(FILES.flatMap((file) => phraseComplaints(file, read(file)))).toEqual([]);
  });

  it('make nouns of file names', () => {
    expect(FILES.flatMap(fileNameComplaints)).toEqual([]);
  });

  it('would be refused with a name, a phrase or a file of before', () => {
    expect(nameComplaints('a.ts', 'receipt.giveWay();')).toHaveLength(1);
    expect(nameComplaints('a.ts', 'class Parts { #road = 1; }')).toHaveLength(2);
    expect(phraseComplaints('a.ts', '/** A message is let\n * go. */')).toHaveLength(1);
    expect(fileNameComplaints('client/parking.ts')).toHaveLength(1);
  });

  it('may have them within other words, and in comments where they mean what they say', () => {
    expect(nameComplaints('a.ts', '// on the road\nconst epochs = "road"; abroad();')).toEqual([]);
    expect(fileNameComplaints('session/ring.ts')).toEqual([]);
  });
});
