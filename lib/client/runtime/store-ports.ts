import { crc32 } from 'node:zlib';
import type { EnginePorts } from '../../engine/options.ts';
import type { Platform } from '../config/settings.ts';

/** What the engine of a client with a store needs from the machine. */
export function storePortsOf({ clock, wallClock }: Platform): Pick<EnginePorts, 'checksum' | 'toWallClock'> {
  return { checksum: (bytes) => crc32(bytes), toWallClock: () => wallClock() - clock.now() };
}
