import { describe, expect, it } from '@jest/globals';
import { scramSha256 } from '../../docs/examples/support/scram-sha-256.ts';
import { ScramExchange, storeUser } from '../../docs/examples/support/scram-server.ts';
import type { AuthenticationContext } from '../../lib/client/config/authentication.ts';
import { bytes } from './stage.ts';

/*
 * The example of SCRAM-SHA-256, with the test vector of RFC 7677, 3.
 */

const NONCE = 'rOprNGfwEbeRWgbNEkqO';
const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
const SALT = 'W22ZaJ0SNY7soEsUEjb6gQ==';
const CLIENT_FIRST = `n,,n=user,r=${NONCE}`;
const SERVER_FIRST = `r=${NONCE}${SERVER_NONCE},s=${SALT},i=4096`;
const CLIENT_FINAL = `c=biws,r=${NONCE}${SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`;
const SERVER_FINAL = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=';

/** The calls of one exchange. */
function context(): AuthenticationContext {
  const { signal } = new AbortController();
  return {
    attempt: 0,
    reason: undefined,
    signal,
    reauthentication: false,
    reasonString: undefined,
    userProperties: [],
  };
}

const client = () => scramSha256('user', 'pencil', () => NONCE);

describe('SCRAM-SHA-256', () => {
  it('RFC 7677 proves the password to the server, and accepts its proof', async () => {
    const scram = client();
    const exchange = context();
    expect(scram.start(exchange)).toBe(CLIENT_FIRST);
    expect(await scram.continue(bytes(SERVER_FIRST), exchange)).toBe(CLIENT_FINAL);
    expect(() => scram.finish?.(bytes(SERVER_FINAL), exchange)).not.toThrow();
  });

  it('RFC 7677 the server accepts the proof, and proves that it knows the password', async () => {
    const user = await storeUser('pencil', Buffer.from(SALT, 'base64'));
    const exchange = new ScramExchange(user, () => SERVER_NONCE);
    expect(exchange.challenge(bytes(CLIENT_FIRST))).toBe(SERVER_FIRST);
    expect(exchange.verify(bytes(CLIENT_FINAL))).toBe(SERVER_FINAL);
    expect(exchange.verify(bytes(CLIENT_FINAL.replace('p=dH', 'p=dI')))).toBeUndefined();
    expect(exchange.verify(bytes(CLIENT_FINAL.replace('k0', 'k1')))).toBeUndefined();
  });

  it.each<[string, string | undefined]>([
    ['another proof', SERVER_FINAL.replace('v=6', 'v=7')],
    ['a shorter proof', 'v=6rri'],
    ['an error', 'e=other-error'],
    ['no data', undefined],
  ])('refuses a server with %s', async (_, data) => {
    const scram = client();
    const exchange = context();
    await scram.start(exchange);
    await scram.continue(bytes(SERVER_FIRST), exchange);
    expect(() => scram.finish?.(data === undefined ? undefined : bytes(data), exchange)).toThrow(
      'the server has not proved that it knows the password',
    );
  });

  it('refuses a server that accepts without having asked', async () => {
    const scram = client();
    const exchange = context();
    await scram.start(exchange);
    expect(() => scram.finish?.(bytes(SERVER_FINAL), exchange)).toThrow('has not proved');
  });

  it.each([
    ['another nonce', SERVER_FIRST.replace('rO', 'rP'), 'nonce'],
    ['only the nonce of the client', `r=${NONCE},s=${SALT},i=4096`, 'nonce'],
    ['few iterations', SERVER_FIRST.replace('4096', '4095'), 'iterations'],
    ['iterations without end', SERVER_FIRST.replace('4096', '1000000000'), 'iterations'],
  ])('refuses a challenge with %s', async (_, challenge, what) => {
    const scram = client();
    const exchange = context();
    await scram.start(exchange);
    await expect(scram.continue(bytes(challenge), exchange)).rejects.toThrow(what);
  });

  it('escapes user names, and takes a new nonce each time', () => {
    expect(scramSha256('a=b,c', 'x', () => 'n').start(context())).toBe('n,,n=a=3Db=2Cc,r=n');
    const scram = scramSha256('user', 'pencil');
    expect(scram.start(context())).not.toEqual(scram.start(context()));
  });
});
