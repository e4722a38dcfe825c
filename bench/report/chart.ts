/** The charts: CPU time per message of all contenders, and how figures grow. */
import type { Measured, Result } from '../run/runner.ts';
import { sweepId, type Sweep } from '../sweeps.ts';
import { bestMqttjs, factor, medianOf } from './goals.ts';
import { dot, line, logarithmic, polyline, short, svg, text } from './svg.ts';
import { digits } from './units.ts';

const WIDTH = 860;
const ROW = 22;
const TOP = 78;
const LEFT = 330;
const RIGHT = 700;

/** The better style of MQTT.js, with its spread. */
function mqttjs(result: Result): Measured | undefined {
  const best = bestMqttjs(result, 'cpu');
  return [result.contenders.callback, result.contenders.promise].find(
    (measured) => measured?.cpu?.median === best,
  );
}

/** A row per scenario with CPU time per message: a dot for each contender, and a line from its smallest to its largest. */
export function comparison(results: readonly Result[]): string {
  const rows = results.filter(({ scenario }) => scenario.metric === 'cpu');
  const spreads = rows.map((result) =>
    [mqttjs(result), result.contenders.libmosquitto, result.contenders.ours].map((measured) => measured?.cpu),
  );
  const values = spreads.flat().flatMap((spread) => (spread === undefined ? [] : [spread.min, spread.max]));
  const scale = logarithmic(values, LEFT, RIGHT);
  const height = TOP + rows.length * ROW + 34;
  const styles = ['c1', 'c2', 'c0'];
  const parts = [
    text(20, 28, 'CPU time per message in µs, logarithmic: less is better', 'title'),
    dot(26, 48, 'c0'),
    text(36, 52, 'mqtt-await'),
    dot(126, 48, 'c1'),
    text(136, 52, 'MQTT.js, better style'),
    dot(286, 48, 'c2'),
    text(296, 52, 'libmosquitto (C)'),
    text(WIDTH - 20, 52, 'less CPU than MQTT.js', 'end note'),
    ...scale.ticks.flatMap((tick) => [
      line(scale.at(tick), TOP - 8, scale.at(tick), height - 30, 'grid'),
      text(scale.at(tick), height - 14, `${short(tick)} µs`, 'middle note'),
    ]),
    ...rows.flatMap((result, row) => {
      const y = TOP + row * ROW + 8;
      const ratio = factor('cpu', medianOf(result, 'ours', 'cpu'), bestMqttjs(result, 'cpu'));
      return [
        text(20, y + 4, result.scenario.title),
        ...spreads[row]!.flatMap((spread, i) =>
          spread === undefined
            ? []
            : [
                line(scale.at(spread.min), y, scale.at(spread.max), y, styles[i]!),
                dot(scale.at(spread.median), y, styles[i]!),
              ],
        ),
        ...(Number.isNaN(ratio) ? [] : [text(WIDTH - 20, y + 4, `${digits(ratio)}x`, 'end')]),
      ];
    }),
  ];
  return svg(WIDTH, height, 'CPU time per message of mqtt-await, MQTT.js and libmosquitto', parts);
}

/** The place of 0 on a logarithmic scale. */
const ZERO = 0.1;

const PANEL = { width: 430, height: 240 };

function panel(sweep: Sweep, results: readonly Result[], left: number, top: number): string[] {
  const lines = sweep.lines.map((one) => ({
    label: one.label,
    points: sweep.points.flatMap((x): [number, number][] => {
      const result = results.find(({ scenario }) => scenario.id === sweepId(sweep, one, x));
      const y = result && medianOf(result, 'ours', sweep.metric);
      // No logarithmic scale has 0.
      return y === undefined ? [] : [[Math.max(x, ZERO), y]];
    }),
  }));
  const points = lines.flatMap((one) => one.points);
  if (points.length === 0) return [];
  const [from, to, high, low] = [left + 60, left + PANEL.width - 90, top + 40, top + PANEL.height - 40];
  const x = logarithmic(
    points.map((point) => point[0]),
    from,
    to,
  );
  const y = logarithmic(
    points.map((point) => point[1]),
    low,
    high,
  );
  const middle = (from + to) / 2;
  const every = Math.ceil(x.ticks.length / 6);
  return [
    text(left + 20, top + 24, sweep.title, 'heading'),
    ...y.ticks.flatMap((tick) => [
      line(from, y.at(tick), to, y.at(tick), 'grid'),
      text(from - 8, y.at(tick) + 4, `${short(tick)} µs`, 'end note'),
    ]),
    ...x.ticks.flatMap((tick, i) =>
      i % every === 0 ? [text(x.at(tick), low + 16, tick === ZERO ? '0' : short(tick), 'middle note')] : [],
    ),
    text(middle, low + 32, sweep.unit, 'middle note'),
    ...lines.flatMap((one, i) => {
      const places = one.points.map(([px, py]) => [x.at(px), y.at(py)] as const);
      const last = places.at(-1);
      if (last === undefined) return [];
      const style = `c${i % 3}`;
      return [
        polyline(places, style),
        ...places.map(([px, py]) => dot(px, py, style)),
        text(last[0] + 10, last[1] + 4 + (i - (lines.length - 1) / 2) * 14, one.label, style),
      ];
    }),
  ];
}

/** A panel per sweep, both axes logarithmic. */
export function growth(sweeps: readonly Sweep[], results: readonly Result[]): string {
  const height = Math.ceil(sweeps.length / 2) * PANEL.height + 10;
  const parts = sweeps.flatMap((sweep, i) =>
    panel(sweep, results, (i % 2) * PANEL.width, Math.floor(i / 2) * PANEL.height),
  );
  return svg(2 * PANEL.width, height, 'How CPU time per message grows', parts);
}
