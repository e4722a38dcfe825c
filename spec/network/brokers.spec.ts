import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { MEASURES } from './broker-measures.ts';
import { brokerTable, PRINTED } from './broker-page.ts';
import { BROKERS } from './broker-table.ts';

describe('docs/brokers.md', () => {
  const path = fileURLToPath(new URL('../../docs/brokers.md', import.meta.url));

  it('has the table of these facts', () => {
    const printed = `<!-- facts -->\n\n${brokerTable()}\n\n<!-- /facts -->`;
    const page = readFileSync(path, 'utf8');
    if (process.env['UPDATE_DOCS'] === '1')
      writeFileSync(
        path,
        page.replace(/<!-- facts -->.*<!-- \/facts -->/s, () => printed),
      );
    expect(readFileSync(path, 'utf8')).toContain(printed);
  });

  it('leaves out no fact', () => {
    for (const { values } of BROKERS)
      expect(Object.keys(values).filter((fact) => !PRINTED.has(fact))).toEqual([]);
    expect(Object.keys(MEASURES).filter((measure) => !PRINTED.has(measure))).toEqual([]);
  });
});
