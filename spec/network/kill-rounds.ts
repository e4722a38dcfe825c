/** Rounds of `kill -9` of a program that publishes over a store, and what has to hold afterwards. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Message, ProtocolVersion } from '../../lib/index.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import type { Mosquitto } from '../support/mosquitto.ts';
import { type Child, startProgram } from './children.ts';

/** Numbers of one round. */
const ROUND = 1_000_000;

export interface KillRounds {
  readonly rounds: number;
  /** The broker is restarted in every round with a number that is divisible by this one. */
  readonly restartEvery: number;
  /** Maximum ms of a life. */
  readonly life: number;
  readonly version: ProtocolVersion;
  readonly directory: string;
  readonly broker: Mosquitto;
  /** To the broker. */
  readonly proxy: FaultProxy;
  readonly random: () => number;
  /** Called after each round. */
  readonly onRound?: (round: number, reported: number) => void;
}

/** Publishes in one process after the other, and kills each but the last. Returns the numbers reported as stored. */
export async function runKillRounds(options: KillRounds): Promise<readonly number[]> {
  const { rounds, version, directory, proxy, onRound } = options;
  const reported: number[] = [];
  const start = (): Child => startProgram('outbox', proxy.url, directory, String(version));
  let child = start();
  for (let round = 1; ; round++) {
    await child.printed('ready');
    child.tell(String(round * ROUND));
    if (round > rounds) break;
    // It is ready when the present one is killed.
    const next = start();
    // Every other one is killed at any moment, also while it opens its store.
    if (round % 2 === 0) await child.printed(String(round * ROUND));
    await live(round, options);
    await child.kill();
    reported.push(...(await numbersOf(child, 'SIGKILL')));
    onRound?.(round, reported.length);
    child = next;
  }
  child.tell('stop');
  await child.printed('done');
  return [...reported, ...(await numbersOf(child, 0))];
}

/** How many processes have reported a number. */
export function reporting(numbers: readonly number[]): number {
  return new Set(numbers.map((number) => Math.floor(number / ROUND))).size;
}

/** The numbers that a program has printed. */
async function numbersOf(child: Child, expected: number | string): Promise<number[]> {
  const { lines, code, complaint } = await child.ended;
  if (code !== expected)
    throw new Error(
      `expected the program to end with ${expected}, got ${code}: ${lines.at(-1)} ${complaint}`,
    );
  return lines.filter((line) => /^\d+$/.test(line)).map(Number);
}

/** What happens to the network and the broker during one life. */
async function live(round: number, { restartEvery, life, broker, proxy, random }: KillRounds): Promise<void> {
  const steps = Math.ceil(random() * 3);
  for (let step = 0; step < steps; step++) {
    await pause((random() * life) / steps);
    const chance = random();
    if (chance < 0.2) proxy.cut();
    else if (chance < 0.4) proxy.reset();
  }
  if (round % restartEvery === 0) await broker.restart();
}

/** Records what a subscriber receives. */
export class Arrivals {
  readonly #arrived: Readonly<Record<1 | 2, Set<number>>> = { 1: new Set(), 2: new Set() };
  /** The first number that was too late, or came twice with QoS 2. */
  readonly wrong: string[] = [];
  /** Messages of QoS 2 that came again with DUP, which a publisher cannot have caused. */
  repeatedByBroker = 0;
  #highest: Record<1 | 2, number> = { 1: -1, 2: -1 };

  /** Returns false for the last message, which is no number. */
  take(message: Message): boolean {
    if (message.text() === 'end') return false;
    const qos = message.qos === 2 ? 2 : 1;
    const number = Number(message.text());
    const arrived = this.#arrived[qos];
    if (arrived.has(number)) {
      // After its restart, Mosquitto 2.0.11 sends messages again although it has received their PUBCOMP.
      if (message.duplicate) this.repeatedByBroker++;
      else if (qos === 2) this.wrong.push(`${number} of QoS 2 came again`);
      return true;
    }
    arrived.add(number);
    if (number < this.#highest[qos])
      this.wrong.push(`${number} of QoS ${qos} came after ${this.#highest[qos]}`);
    else this.#highest[qos] = number;
    return true;
  }

  /** Those of `numbers` that have not arrived. */
  missing(numbers: readonly number[]): readonly number[] {
    return numbers.filter((number) => !this.#arrived[number % 2 === 0 ? 2 : 1].has(number));
  }
}
