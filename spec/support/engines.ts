/** Engines brought to a state in a word. */
import type { EncodablePacket, Packet } from '../../lib/codec/packets.ts';
import type { EngineOptions, EnginePorts } from '../../lib/engine/options.ts';
import { connack } from './packets.ts';
import { Rig } from './rig.ts';

/** One that has never connected. */
export function offline(options?: Partial<EngineOptions>): Rig {
  return new Rig(options);
}

/** One whose first connection was accepted with `answer`. Nothing is left in its output or log. */
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

/** One with a session that outlives its connections. */
export function withSession(
  options?: Partial<EngineOptions>,
  answer: EncodablePacket = connack(),
  ports?: Partial<EnginePorts>,
): Rig {
  return online({ cleanStart: false, sessionExpiryInterval: 3_600, ...options }, answer, ports);
}

/** `publish a DUP`, `pubrel 3`: packets in a word each, for comparing orders. */
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
