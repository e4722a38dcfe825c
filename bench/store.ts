/**
 * How fast a session store takes commits, without a client: each has a group of messages, and removes the group before
 * the last, as if it were acknowledged. One commit is under way at a time.
 *
 *   npm run bench:store                    about a minute
 *   npm run bench:store -- --quick         a few seconds, with figures that say little
 *   npm run bench:store -- --dir DIR       in DIR, instead of the checkout and /dev/shm; more than once is possible
 *   npm run bench:store -- --segment 65536 with smaller segments
 *
 * `message`: a record for each message. `segment`: as the client writes, the messages one behind the other in records of
 * at most 1,024 messages or 256 KiB, with three small records. `file`: the floor. The same bytes are appended to a file,
 * with fdatasync() for `sync`, and nothing is removed.
 *
 * CPU time is that of all threads of the process, for each message. Figures are medians of three runs, in turns.
 */
import { randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { levelStore, type SessionStore, type StoreChange } from '../lib/store/store.ts';

const SIZES = [64, 10_240] as const;
const GROUPS = [1, 20, 1_000] as const;
const WAYS = ['message', 'segment', 'file'] as const;
const SEGMENT = { messages: 1_024, bytes: '262144' };
const MOST_BYTES = 2 ** 28;
const RUNS = 3;

interface Scenario {
  readonly directory: string;
  readonly size: number;
  readonly group: number;
  readonly sync: boolean;
  /** Bytes of a segment at most. */
  readonly segment: number;
  readonly way: (typeof WAYS)[number];
}

interface Figures {
  readonly commits: number;
  readonly messages: number;
  readonly cpu: number;
}

/** Something that takes a group of messages. */
interface Target {
  commit(ordinal: number): Promise<void>;
  close(): Promise<void>;
}

/** LevelDB compresses what it can. */
const payloadOf = (size: number): Uint8Array => randomFillSync(new Uint8Array(size));

const keyOf = (ordinal: number): string => `m${ordinal.toString(16).padStart(14, '0')}`;

// --- the targets -----------------------------------------------------------------------------------------------------

/** One record for each message. */
function messageTarget(store: SessionStore, { size, group, sync }: Scenario): Target {
  const payload = payloadOf(size);
  const commit = async (ordinal: number): Promise<void> => {
    const changes: StoreChange[] = [];
    for (let i = 0; i < group; i++)
      changes.push({ type: 'put', key: keyOf(ordinal * group + i), value: payload.slice() });
    if (ordinal >= 2)
      for (let i = 0; i < group; i++) changes.push({ type: 'delete', key: keyOf((ordinal - 2) * group + i) });
    await store.commit(changes, { sync });
  };
  return { commit, close: () => store.close() };
}

/** Messages one behind the other, in as many pieces as needed. */
function segmentsOf({ size, group, segment: most }: Scenario): () => Uint8Array[] {
  const payload = payloadOf(size);
  const each = Math.max(1, Math.min(SEGMENT.messages, Math.floor(most / size)));
  return () => {
    const segments: Uint8Array[] = [];
    for (let at = 0; at < group; at += each) {
      const messages = Math.min(each, group - at);
      const segment = new Uint8Array(messages * size);
      for (let i = 0; i < messages; i++) segment.set(payload, i * size);
      segments.push(segment);
    }
    return segments;
  };
}

/** A record for each segment, and three small ones. */
function segmentTarget(store: SessionStore, scenario: Scenario): Target {
  const segments = segmentsOf(scenario);
  const commit = async (ordinal: number): Promise<void> => {
    const values = segments();
    const changes: StoreChange[] = values.map((value, i) => ({
      type: 'put',
      key: keyOf(ordinal * values.length + i),
      value,
    }));
    for (const key of ['a', 'b', 'c']) changes.push({ type: 'put', key, value: new Uint8Array(16) });
    if (ordinal >= 2)
      for (let i = 0; i < values.length; i++)
        changes.push({ type: 'delete', key: keyOf((ordinal - 2) * values.length + i) });
    await store.commit(changes, { sync: scenario.sync });
  };
  return { commit, close: () => store.close() };
}

async function fileTarget(path: string, scenario: Scenario): Promise<Target> {
  const segments = segmentsOf(scenario);
  const file = await open(path, 'w');
  const commit = async (): Promise<void> => {
    await file.writev(segments());
    if (scenario.sync) await file.datasync();
  };
  return { commit, close: () => file.close() };
}

async function targetOf(scenario: Scenario, path: string): Promise<Target> {
  if (scenario.way === 'file') return fileTarget(path, scenario);
  const store = levelStore(path);
  await store.open('bench');
  return scenario.way === 'message' ? messageTarget(store, scenario) : segmentTarget(store, scenario);
}

// --- measuring -------------------------------------------------------------------------------------------------------

/** Commits for `duration` ms, or until there are too many bytes. */
async function measure(scenario: Scenario, duration: number): Promise<Figures> {
  mkdirSync(scenario.directory, { recursive: true });
  const home = mkdtempSync(join(scenario.directory, 'mqtt-await-store-'));
  try {
    const target = await targetOf(scenario, join(home, 'store'));
    const most = Math.ceil(MOST_BYTES / (scenario.size * scenario.group));
    try {
      let ordinal = 0;
      while (ordinal < 3) await target.commit(ordinal++);
      const cpu = process.cpuUsage();
      const start = performance.now();
      const first = ordinal;
      do await target.commit(ordinal++);
      while (performance.now() - start < duration && ordinal < most);
      const seconds = (performance.now() - start) / 1_000;
      const { user, system } = process.cpuUsage(cpu);
      const commits = ordinal - first;
      const messages = commits * scenario.group;
      return { commits: commits / seconds, messages: messages / seconds, cpu: (user + system) / messages };
    } finally {
      await target.close();
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The run that has the middle rate. */
function median(runs: readonly Figures[]): Figures {
  return runs.toSorted((a, b) => a.messages - b.messages)[Math.floor(runs.length / 2)]!;
}

// --- the report ------------------------------------------------------------------------------------------------------

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x5846_5342: 'xfs',
  0x9123_683e: 'btrfs',
  0x0102_1994: 'tmpfs',
};

function fileSystemOf(directory: string): string {
  const { type } = statfsSync(directory);
  return FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`;
}

function rowOf(scenario: Scenario, figures: Figures): string {
  const { directory, size, group, sync, way } = scenario;
  const count = (value: number): string => Math.round(value).toLocaleString('en-US').padStart(10);
  return [
    fileSystemOf(directory).padEnd(6),
    `${size} B`.padStart(8),
    count(group).trim().padStart(5),
    (sync ? 'sync' : '-').padEnd(4),
    way.padEnd(8),
    count(figures.commits),
    count(figures.messages),
    figures.cpu.toFixed(2).padStart(9),
  ].join(' | ');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      dir: { type: 'string', multiple: true },
      segment: { type: 'string', default: SEGMENT.bytes },
    },
  });
  const cache = fileURLToPath(new URL('../node_modules/.cache/mqtt-await-bench/', import.meta.url));
  const directories = values.dir ?? [cache, ...(existsSync('/dev/shm') ? ['/dev/shm'] : [])];
  console.log('on     |     size | group | sync | way      |  commits/s | messages/s | CPU µs/message');
  for (const directory of directories)
    for (const sync of [true, false])
      for (const size of SIZES)
        for (const group of GROUPS) {
          const base = { directory, size, group, sync, segment: Number(values.segment) };
          const scenarios = WAYS.map((way): Scenario => ({ ...base, way }));
          const runs = scenarios.map((): Figures[] => []);
          for (let run = 0; run < (values.quick ? 1 : RUNS); run++)
            for (const [i, scenario] of scenarios.entries())
              runs[i]!.push(await measure(scenario, values.quick ? 20 : 200));
          for (const [i, scenario] of scenarios.entries()) console.log(rowOf(scenario, median(runs[i]!)));
        }
}

await main();
