import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { describeWith } from '../support/programs.ts';
import type { StartedBroker } from '../support/server-process.ts';
import { endActors } from './actors.ts';
import { type Measure, MEASURES } from './broker-measures.ts';
import {
  messagesAreRefused,
  messagesArrive,
  messagesComeAgain,
  sessionsResume,
  type Stand,
  subscriptionsOverlap,
  versionsAreRefused,
  Waits,
} from './broker-promises.ts';
import { BROKERS, type TestedBroker, valueOf } from './broker-table.ts';
import { PacketClient } from './packet-client.ts';

/*
 * The same promises at every broker, and the facts of docs/brokers.md, measured. Each broker has its own file, and starts
 * once: most of the time goes by in waiting for brokers, in which other files run.
 */

const NAMES = { 3: '3.1', 4: '3.1.1', 5: '5.0' } as const;
/** Starting takes as long as a busy machine needs. */
const START = 120_000;
const LONG = 60_000;

const measures = Object.keys(MEASURES) as Measure[];
/** Measures of 5.0 only. */
const ONLY_5: readonly Measure[] = [
  'Receive Maximum',
  'Subscription Identifiers',
  'Topic Alias Maximum',
  'announced Receive Maximum',
  'Maximum Packet Size',
  'nobody',
];

function factsAreMeasured(broker: TestedBroker, port: () => number): void {
  const measured = (measure: Measure, version: ProtocolVersion): Promise<string> =>
    MEASURES[measure]({ port: port(), version, ...broker.credentials });
  const ofBroker = measures.filter((measure) => measure.startsWith('version'));
  it.each(ofBroker)(
    'the fact "%s" of docs/brokers.md',
    async (measure) => {
      expect(await measured(measure, 4)).toBe(valueOf(broker, measure, 4));
    },
    LONG,
  );
  for (const version of broker.versions) {
    const facts = measures.filter(
      (one) => !ofBroker.includes(one) && (version === 5 || !ONLY_5.includes(one)),
    );
    describe(`MQTT ${NAMES[version]}`, () => {
      it.each(facts)(
        'the fact "%s" of docs/brokers.md',
        async (measure) => {
          expect(await measured(measure, version)).toBe(valueOf(broker, measure, version));
        },
        LONG,
      );
    });
  }
}

/** The page is about one release: others differ. So nothing is said about them, and a line reports that. */
function anotherRelease({ name, release }: TestedBroker, installed: string | undefined): void {
  it('is not the release of docs/brokers.md: its specs did not run', () => {
    expect(installed).not.toBe(release);
    const line = `${name} is ${installed ?? 'of an unknown release'}, docs/brokers.md is about ${release}`;
    process.stdout.write(`${line}: its specs in broker-specs.ts did not run\n`);
  });
}

function specs(broker: TestedBroker): void {
  const installed = broker.installed();
  if (installed !== broker.release) return anotherRelease(broker, installed);
  let started: StartedBroker | undefined;
  // It sends nothing while the other specs run: so nobody waits only for its end.
  let silent: PacketClient | undefined;
  const port = (): number => started?.port ?? 0;
  beforeAll(async () => {
    started = await broker.start();
    const version = broker.versions[0] ?? 4;
    silent = new PacketClient({ port: port(), version, ...broker.credentials }, { for: 'file' });
    expect((await silent.connect({ keepAlive: 1 }))?.reasonCode).toBe(0);
  }, START);
  afterAll(async () => {
    silent?.cut();
    await started?.stop();
  });

  const waits = new Waits();
  for (const version of broker.versions) {
    describe(`MQTT ${NAMES[version]}`, () => {
      const stand: Stand = { broker, version, port, waits };
      messagesArrive(stand);
      sessionsResume(stand);
      messagesComeAgain(stand);
      subscriptionsOverlap(stand);
      messagesAreRefused(stand);
    });
  }
  versionsAreRefused(broker, port);
  factsAreMeasured(broker, port);

  it('the fact "Keep Alive" of docs/brokers.md', async () => {
    await silent?.until(() => false);
    expect([silent?.hasEnded, valueOf(broker, 'Keep Alive', 4)]).toEqual([true, 'yes']);
  });
}

/** All specs of a broker. Once per file. */
export function brokerSpecs(name: TestedBroker['name']): void {
  endActors();
  const broker = BROKERS.find((one) => one.name === name) as TestedBroker;
  const title = `the promises and facts of docs/brokers.md (${name})`;
  if (name === 'Aedes')
    describe(`with Aedes: ${title}`, () => {
      specs(broker);
    });
  else describeWith([name], title, () => specs(broker));
}
