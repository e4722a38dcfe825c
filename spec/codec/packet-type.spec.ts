import { describe, expect, it } from '@jest/globals';
import { checkHeader, Header, packetTitle, PacketType, type Receiver } from '../../lib/codec/packet-type.ts';

const accepts = (header: number, version: 3 | 4 | 5, receiver: Receiver): boolean => {
  try {
    checkHeader(header, version, receiver);
    return true;
  } catch {
    return false;
  }
};
const accepted = (version: 3 | 4 | 5, receiver: Receiver): string[] =>
  Object.entries(Header)
    .filter(([, header]) => accepts(header, version, receiver))
    .map(([name]) => name);

describe('first bytes', () => {
  const both = ['publish', 'puback', 'pubrec', 'pubrel', 'pubcomp'];

  it('allows a client the packets of servers', () => {
    const client = ['connack', ...both, 'suback', 'unsuback', 'pingresp'];
    expect(accepted(3, 'client')).toEqual(client);
    expect(accepted(4, 'client')).toEqual(client);
    expect(accepted(5, 'client')).toEqual([...client, 'disconnect', 'auth']);
  });

  it('allows a server the packets of clients', () => {
    const server = ['connect', ...both, 'subscribe', 'unsubscribe', 'pingreq', 'disconnect'];
    expect(accepted(4, 'server')).toEqual(server);
    expect(accepted(5, 'server')).toEqual([...server, 'auth']);
  });

  it('[MQTT-2.1.3-1] refuses other flags, except on 3.1', () => {
    expect(accepts(0x60, 5, 'client')).toBe(false);
    expect(accepts(0x6a, 4, 'client')).toBe(false);
    expect(accepts(0x6a, 3, 'client')).toBe(true);
    expect(accepts(0x8a, 3, 'server')).toBe(true);
  });

  it('names the types as the specification does', () => {
    expect(packetTitle(0x62)).toBe('PUBREL');
    expect(Object.values(PacketType)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  });
});
