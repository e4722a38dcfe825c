import { expect, it } from '@jest/globals';
import { certificates } from '../support/certificates.ts';
import { endWithTest } from '../support/endings.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';
import { connected, inOrder } from './tls-rig.ts';

const made = certificates();

endWithTest();

describe('a server of TLS 1.2 that shakes hands again', () => {
  it('is heard as before', async () => {
    const { server, tls } = await inOrder(await made(), { maxVersion: 'TLSv1.2' });
    const { transport, peer, recorder } = await connected(server, tls);
    transport.open(recorder);
    await new Promise((resolve) => peer.renegotiate({}, resolve));
    peer.write('still here');
    await recorder.until(10);
    expect(recorder.text).toBe('still here');
    expect(recorder.log).toEqual([]);
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
