/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677) as the option `authentication`, on `node:crypto`. The password never leaves the
 * process, and the server has to prove that it knows it, too:
 *
 *   CONNECT  n,,n=user,r=nonce                 start()
 *   AUTH     r=nonce+nonce,s=salt,i=4096       from the server
 *   AUTH     c=biws,r=nonce+nonce,p=proof      continue()
 *   CONNACK  v=signature                       from the server, checked by finish()
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Authentication } from '../../../lib/index.ts';

/** Servers with fewer iterations are refused: the password would be easy to guess from what was sent (RFC 7677, 4). */
const LEAST_ITERATIONS = 4_096;
/** More would keep this process busy. */
const MOST_ITERATIONS = 1_000_000;

export const hmac = (key: Uint8Array, text: string): Buffer =>
  createHmac('sha256', key).update(text).digest();
export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
export const xor = (a: Uint8Array, b: Uint8Array): Buffer =>
  Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));

/** Both ends have these keys, or what they make of them: `Hi(password, salt, iterations)` of RFC 5802. */
export async function scramKeys(password: string, salt: Uint8Array, iterations: number) {
  // RFC 7677 asks for SASLprep. NFKC is its main step, and changes nothing in ASCII.
  const salted = await promisify(pbkdf2)(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  return { clientKey: hmac(salted, 'Client Key'), serverKey: hmac(salted, 'Server Key') };
}

/** The attributes of a message: `r=…,s=…,i=…`. */
export function attributesOf(data: Uint8Array | undefined): ReadonlyMap<string, string> {
  const text = Buffer.from(data ?? []).toString();
  return new Map(text.split(',').map((one) => [one.charAt(0), one.substring(2)]));
}

/** What one exchange has so far. */
interface Exchange {
  readonly nonce: string;
  readonly firstMessage: string;
  /** The proof that is expected from the server, once it is known. */
  signature?: Buffer;
}

/** `makeNonce`: for tests; it must return other printable text each time. */
export function scramSha256(
  username: string,
  password: string,
  makeNonce: () => string = () => randomBytes(18).toString('base64'),
): Authentication {
  // All calls of one exchange have the same signal. A late call of an earlier exchange finds its own state.
  const exchanges = new WeakMap<AbortSignal, Exchange>();
  return {
    method: 'SCRAM-SHA-256',

    start({ signal }) {
      const nonce = makeNonce();
      const firstMessage = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
      exchanges.set(signal, { nonce, firstMessage });
      return `n,,${firstMessage}`;
    },

    async continue(data, { signal }) {
      const exchange = exchanges.get(signal);
      const attributes = attributesOf(data);
      const [nonce = '', salt = ''] = [attributes.get('r'), attributes.get('s')];
      const iterations = Number(attributes.get('i'));
      if (exchange === undefined || exchange.signature !== undefined)
        throw new Error('SCRAM: the server asks for another round');
      if (!nonce.startsWith(exchange.nonce) || nonce.length === exchange.nonce.length)
        throw new Error('SCRAM: the nonce of the server does not continue that of the client');
      if (!Number.isInteger(iterations) || iterations < LEAST_ITERATIONS || iterations > MOST_ITERATIONS)
        throw new Error(`SCRAM: expected ${LEAST_ITERATIONS} to ${MOST_ITERATIONS} iterations`);

      const { clientKey, serverKey } = await scramKeys(password, Buffer.from(salt, 'base64'), iterations);
      // biws: `n,,` in base64, no channel binding.
      const withoutProof = `c=biws,r=${nonce}`;
      const all = `${exchange.firstMessage},${Buffer.from(data ?? []).toString()},${withoutProof}`;
      exchange.signature = hmac(serverKey, all);
      const proof = xor(clientKey, hmac(sha256(clientKey), all));
      return `${withoutProof},p=${proof.toString('base64')}`;
    },

    finish(data, { signal }) {
      const { signature } = exchanges.get(signal) ?? {};
      const given = Buffer.from(attributesOf(data).get('v') ?? '', 'base64');
      if (signature === undefined || given.length !== signature.length || !timingSafeEqual(given, signature))
        throw new Error('SCRAM: the server has not proved that it knows the password');
    },
  };
}
