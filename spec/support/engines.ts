/** Creates engines in a given state. */
import type { EncodablePacket, Packet } from '../../lib/codec/packets.ts';
import type { EngineOptions, EnginePorts } from '../../lib/engine/options.ts';
import { connack } from './packets.ts';
import { Rig } from './rig.ts';

/** An engine that has never connected. */
export function offline(options?: Partial<EngineOptions>, ports?: Partial<EnginePorts>): Rig {
  return new Rig(options, ports);
}

/** An engine whose first connection was accepted with `answer`. Its output and log are empty. */
export function online(
  options?: Partial<EngineOptions>,
  answer: EncodablePacket = connack(),
  ports?: Partial<EnginePorts>,
): Rig {
  const rig = new Rig(options, ports);
  rig.engine.connect('give up', rig.now);
  rig.open();
  rig.send(answer);
  rig.sent();
  rig.effects.take();
  return rig;
}

/** An engine with a persistent session. */
export function withSession(
  options?: Partial<EngineOptions>,
  answer: EncodablePacket = connack(),
  ports?: Partial<EnginePorts>,
): Rig {
  return online({ cleanStart: false, sessionExpiryInterval: 3_600, ...options }, answer, ports);
}

/** Summarises packets, to compare their order: `publish a DUP`, `pubrel 3`. */
export function brief(packets: readonly Packet[]): string[] {
  return packets.map((packet) => {
    if (packet.type === 'publish') {
      const id = packet.packetId === undefined ? '' : ` ${packet.packetId}`;
      return `publish ${packet.topic}${id}${packet.duplicate ? ' DUP' : ''}`;
    }
    const code =
      'reasonCode' in packet && packet.reasonCode > 0 ? ` 0x${packet.reasonCode.toString(16)}` : '';
    return `${packet.type}${'packetId' in packet ? ` ${packet.packetId}` : ''}${code}`;
  });
}
