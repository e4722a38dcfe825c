/** A server for the example of SCRAM-SHA-256, made with the codec. It knows one user, and accepts and acknowledges all. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Decoder, encode } from '../../../lib/codec/codec.ts';
import type { AuthPacket, ConnectPacket, EncodablePacket, Packet } from '../../../lib/codec/packets.ts';
import { attributesOf, hmac, scramKeys, sha256, xor } from './scram-sha-256.ts';

const METHOD = 'SCRAM-SHA-256';

export interface ScramServer extends AsyncDisposable {
  readonly url: string;
}

/** What a server stores: neither the password nor the client's key can be computed from it. */
export interface StoredUser {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export async function storeUser(
  password: string,
  salt: Buffer = randomBytes(16),
  iterations: number = 4_096,
): Promise<StoredUser> {
  const { clientKey, serverKey } = await scramKeys(password, salt, iterations);
  return { salt, iterations, storedKey: sha256(clientKey), serverKey };
}

/** The server's part of one exchange. */
export class ScramExchange {
  readonly #user: StoredUser;
  readonly #makeNonce: () => string;
  #clientFirst = '';
  #serverFirst = '';
  #nonce = '';

  constructor(user: StoredUser, makeNonce: () => string = () => randomBytes(18).toString('base64')) {
    this.#user = user;
    this.#makeNonce = makeNonce;
  }

  /** Answers the first message of the client. */
  challenge(data: Uint8Array | undefined): string {
    this.#clientFirst = Buffer.from(data ?? [])
      .toString()
      .replace('n,,', '');
    this.#nonce = `${attributesOf(Buffer.from(this.#clientFirst)).get('r')}${this.#makeNonce()}`;
    const { salt, iterations } = this.#user;
    this.#serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`;
    return this.#serverFirst;
  }

  /** Checks the proof of the client. Returns that of the server, or undefined if the proof is wrong. */
  verify(data: Uint8Array | undefined): string | undefined {
    const attributes = attributesOf(data);
    const withoutProof = `c=biws,r=${attributes.get('r')}`;
    const all = `${this.#clientFirst},${this.#serverFirst},${withoutProof}`;
    const { storedKey, serverKey } = this.#user;
    const proof = Buffer.from(attributes.get('p') ?? '', 'base64');
    const key = sha256(xor(proof, hmac(storedKey, all)));
    if (
      attributes.get('r') !== this.#nonce ||
      proof.length !== key.length ||
      !timingSafeEqual(key, storedKey)
    )
      return undefined;
    return `v=${hmac(serverKey, all).toString('base64')}`;
  }
}

/** Starts a server on a free local port. `proof`: what it sends instead of its proof, to act as an impostor. */
export async function startScramServer(user: StoredUser, proof?: string): Promise<ScramServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    serve(socket, user, proof);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function serve(socket: Socket, user: StoredUser, impostorsProof: string | undefined): void {
  const decoder = new Decoder({ receiver: 'server' });
  let exchange: ScramExchange | undefined;
  let phase: 'connecting' | 'connected' = 'connecting';
  const send = (packet: EncodablePacket): void => void socket.write(encode(packet, 5));
  const sendAuth = (reasonCode: number, text: string): void =>
    send({ type: 'auth', reasonCode, properties: propertiesOf(text) });

  const begin = ({ properties }: ConnectPacket | AuthPacket): void => {
    if (properties.authenticationMethod !== METHOD) {
      send({ type: 'connack', reasonCode: 0x8c });
      socket.end();
      return;
    }
    exchange = new ScramExchange(user);
    sendAuth(0x18, exchange.challenge(properties.authenticationData));
  };
  const verify = ({ properties }: AuthPacket): void => {
    const proof = exchange?.verify(properties.authenticationData);
    exchange = undefined;
    if (proof === undefined) {
      send(
        phase === 'connecting'
          ? { type: 'connack', reasonCode: 0x87 }
          : { type: 'disconnect', reasonCode: 0x87 },
      );
      socket.end();
    } else if (phase === 'connected') sendAuth(0, impostorsProof ?? proof);
    else {
      phase = 'connected';
      send({ type: 'connack', properties: propertiesOf(impostorsProof ?? proof) });
    }
  };
  const take = (packet: Packet): void => {
    if (packet.type === 'connect') begin(packet);
    else if (packet.type === 'auth') (packet.reasonCode === 0x19 ? begin : verify)(packet);
    else if (packet.type === 'publish' && packet.packetId !== undefined)
      send({ type: 'puback', packetId: packet.packetId });
    else if (packet.type === 'pingreq') send({ type: 'pingresp' });
    else if (packet.type === 'disconnect') socket.end();
  };
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    decoder.push(bytes);
    for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) take(packet);
  });
}

function propertiesOf(text: string) {
  return { authenticationMethod: METHOD, authenticationData: new TextEncoder().encode(text) };
}
