import { describe, expect, it } from '@jest/globals';
import { certificates } from '../support/certificates.ts';
import { connected, endRig, inOrder } from './tls-rig.ts';

const made = certificates();

endRig();

describe('a server of TLS 1.2 that shakes hands again', () => {
  it('is heard as before', async () => {
    const { server, tls } = await inOrder(await made(), { maxVersion: 'TLSv1.2' });
    const { transport, peer, recorder } = await connected(server, tls);
    transport.open(recorder);
    await new Promise((resolve) => peer.renegotiate({}, resolve));
    peer.write('still here');
    await recorder.until(10);
    expect(recorder.log).toEqual(['chunk']);
  });

  it('is verified again', async () => {
    const { server, tls } = await inOrder(await made(), { maxVersion: 'TLSv1.2' });
    let answer: Error | undefined;
    const { transport, peer, recorder } = await connected(server, { ...tls, verifyHostname: () => answer });
    transport.open(recorder);
    answer = new Error('somebody else');
    peer.renegotiate({}, () => {});
    expect(await recorder.gone).toMatchObject({
      phase: 'tls',
      message: 'tls.verifyHostname: somebody else',
    });
  });
});
