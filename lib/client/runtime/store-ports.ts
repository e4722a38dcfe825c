import type { EnginePorts } from '../../engine/options.ts';
import type { Platform } from '../config/settings.ts';

export type StorePorts = Pick<EnginePorts, 'checksum' | 'storeSizes' | 'toWallClock'>;

/** What the engine of a client with a store needs from the machine. Others do not load the module for checksums. @internal */
export function storePortsOf({ clock, storeSizes, wallClock }: Platform): StorePorts {
  const { crc32 } = process.getBuiltinModule('node:zlib');
  return { checksum: (bytes) => crc32(bytes), toWallClock: () => wallClock() - clock.now(), storeSizes };
}
