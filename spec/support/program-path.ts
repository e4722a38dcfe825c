import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Package managers install brokers in directories that are not in the path of a user. */
const PLACES = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/sbin',
];

/** The path of a program; undefined if it is not installed. */
export function programPath(name: string, places: readonly string[] = PLACES): string | undefined {
  return places
    .filter((place) => place !== '')
    .map((place) => join(place, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
