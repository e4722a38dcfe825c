import { readFileSync } from 'node:fs';
import { dirname, extname, join, posix } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Installed, installedPackage } from './built-package.ts';

/*
 * The contents of the package: everything that it refers to, and nothing twice.
 */

const LONG = 180_000;

let installed: Installed;

const read = (file: string): string => readFileSync(join(installed.home, file), 'utf8');
const filesWith = (extension: string): string[] => installed.files.filter((file) => file.endsWith(extension));

/** `reference` in `file` as a path in the package. */
const resolved = (file: string, reference: string): string => posix.join(dirname(file), reference);

interface SourceMap {
  readonly sources: readonly string[];
  readonly sourcesContent?: readonly (string | null)[];
}

/** The anchors of the headings of a page. */
function anchorsOf(page: string): string[] {
  return [...page.replaceAll(/^```[^]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  );
}

/** Call it in a `describe`. */
export function describeContents(): void {
  beforeAll(async () => {
    installed = await installedPackage();
  }, LONG);

  describe('the source maps of the package', () => {
    it('refer to sources in the package, or contain them', () => {
      const maps = filesWith('.map');
      expect(maps.length).toBeGreaterThan(50);
      const lost = maps.flatMap((file) => {
        const { sources, sourcesContent = [] } = JSON.parse(read(file)) as SourceMap;
        return sources
          .filter((source, i) => !installed.files.includes(resolved(file, source)) && !sourcesContent[i])
          .map((source) => `${file}: ${source}`);
      });
      expect(lost).toEqual([]);
    });

    it('contain no source that is in the package', () => {
      const twice = filesWith('.map').flatMap((file) => {
        const { sources, sourcesContent = [] } = JSON.parse(read(file)) as SourceMap;
        return sources
          .filter((source, i) => installed.files.includes(resolved(file, source)) && sourcesContent[i])
          .map((source) => `${file}: ${source}`);
      });
      expect(twice).toEqual([]);
    });

    it('exist for each compiled file, which refers to its map', () => {
      const compiled = ['.js', '.cjs', '.d.ts', '.d.cts'].flatMap((extension) =>
        filesWith(extension).filter((file) => file.startsWith('dist/')),
      );
      const lost = compiled.filter((file) => {
        const [, map] = /\/\/# sourceMappingURL=(\S+)\s*$/.exec(read(file)) ?? [];
        return map === undefined || !installed.files.includes(resolved(file, map));
      });
      expect(lost).toEqual([]);
    });
  });

  describe('the declarations of the package', () => {
    it('refer to declarations in it, those of CommonJS to those of CommonJS', () => {
      const lost = ['.d.ts', '.d.cts'].flatMap((extension) =>
        filesWith(extension).flatMap((file) =>
          [...read(file).matchAll(/(?:from|import\()\s*['"](\.[^'"]+)['"]/g)].flatMap(
            ([, specifier = '']) => {
              const target = resolved(file, specifier.replace(/\.(?:ts|cjs)$/, extension));
              return installed.files.includes(target) ? [] : [`${file}: ${specifier}`];
            },
          ),
        ),
      );
      expect(lost).toEqual([]);
    });
  });

  describe('the pages of the package', () => {
    it('are the README and those of docs/', () => {
      expect(filesWith('.md')).toEqual(
        expect.arrayContaining(['README.md', 'docs/api.md', 'docs/errors.md']),
      );
    });

    it('have relative links that lead to files and headings in the package', () => {
      const lost = filesWith('.md').flatMap((page) => {
        const text = read(page).replaceAll(/^```[^]*?^```/gm, '');
        return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
          if (/^[a-z]+:/.test(link)) return [];
          const [path = '', anchor] = link.split('#');
          const file = path === '' ? page : resolved(page, decodeURIComponent(path)).replace(/\/$/, '');
          const isFolder = installed.files.some((one) => one.startsWith(`${file}/`));
          if (!installed.files.includes(file) && !isFolder) return [`${page}: ${link}`];
          if (anchor === undefined || extname(file) !== '.md') return [];
          return anchorsOf(read(file)).includes(anchor) ? [] : [`${page}: ${link}`];
        });
      });
      expect(lost).toEqual([]);
    });
  });

  describe('bundled packages', () => {
    it('are listed with their licenses', () => {
      const licenses = read('dist/third-party-licenses.txt');
      for (const name of ['p-queue', 'p-timeout', 'eventemitter3'])
        expect(licenses).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+$`, 'm'));
    });
  });
}
