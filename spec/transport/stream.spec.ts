import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { StreamTransport, transportOver } from '../../lib/transport/stream.ts';
import type { TransportReceiver, Flushed } from '../../lib/transport/transport.ts';
import { endWithTest, held } from '../support/endings.ts';

endWithTest();

/** Both ends of a stream in memory. A write at one end is read at the other. */
function pair(): { near: Duplex; far: PassThrough; sent: Uint8Array[]; finish: () => void } {
  const sent: Uint8Array[] = [];
  const finishing: ((error?: Error) => void)[] = [];
  const far = new PassThrough();
  const near = new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, callback) {
      sent.push(chunk);
      finishing.push(callback);
    },
    // As sockets do since Node.js 22.
    destroy(error, callback) {
      for (const cancel of finishing.splice(0)) cancel(new Error('write ECANCELED'));
      callback(error);
    },
  });
  far.on('data', (chunk) => near.push(chunk));
  far.on('end', () => near.push(null));
  held(near);
  return { near, far, sent, finish: () => finishing.shift()?.() };
}

/** A receiver that records what it is called with. */
function listener(): TransportReceiver & { readonly heard: string[]; readonly error: () => unknown } {
  const heard: string[] = [];
  let failure: unknown;
  return {
    heard,
    error: () => failure,
    allocate: () => new Uint8Array(16),
    onRead: (length) => heard.push(`onRead ${length}`),
    onData: (bytes) => heard.push(`onData ${Buffer.from(bytes).toString()}`),
    onDrain: () => heard.push('onDrain'),
    onClose: (error) => {
      failure = error;
      heard.push('onClose');
    },
  };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('a transport over any stream', () => {
  it('reads nothing before open(), then everything', async () => {
    const { near, far } = pair();
    const transport = new StreamTransport(near);
    const receiver = listener();
    far.write('early');
    await turn();
    expect(receiver.heard).toEqual([]);
    transport.open(receiver);
    await turn();
    transport.pause();
    far.write('late');
    await turn();
    expect(receiver.heard).toEqual(['onData early']);
    transport.resume();
    await turn();
    expect(receiver.heard).toEqual(['onData early', 'onData late']);
  });

  it('keeps no reference to bytes that it has given back', async () => {
    const { near, sent, finish } = pair();
    const transport = new StreamTransport(near);
    transport.open(listener());
    const piece = bytes('one');
    const taken: (Flushed | undefined)[] = [];
    transport.write(piece, (back, how) => {
      back.fill(0);
      taken.push(how);
    });
    expect(transport.bytesPending).toBe(3);
    piece.fill(0);
    expect(Buffer.concat(sent).toString()).toBe('one');
    await turn();
    await turn();
    finish();
    await turn();
    expect(taken).toEqual(['later']);
    expect(transport.bytesPending).toBe(0);
  });

  it('reports whether the network accepted the bytes at once or later', async () => {
    const { near, finish } = pair();
    const transport = new StreamTransport(near);
    const receiver = listener();
    transport.open(receiver);
    const taken: (Flushed | undefined)[] = [];
    transport.write(bytes('a'), (_, how) => taken.push(how));
    process.nextTick(finish);
    await turn();
    await turn();
    transport.write(bytes('b'), (_, how) => taken.push(how));
    await turn();
    await turn();
    finish();
    await turn();
    expect(taken).toEqual(['at-once', 'later']);
    expect(receiver.heard).toEqual(['onDrain', 'onDrain']);
  });

  it('closes without an error when the peer stops sending', async () => {
    const { near, far } = pair();
    const transport = new StreamTransport(near);
    const receiver = listener();
    transport.open(receiver);
    far.end('bye');
    while (!receiver.heard.includes('onClose')) await turn();
    expect(receiver.heard).toEqual(['onData bye', 'onClose']);
    expect(receiver.error()).toBeUndefined();
    expect(near.destroyed).toBe(true);
  });

  it('closes with the converted error of the stream', async () => {
    const { near } = pair();
    const transport = new StreamTransport(near, { explain: (error) => `because of ${String(error)}` });
    const receiver = listener();
    transport.open(receiver);
    near.destroy(new Error('rain'));
    while (!receiver.heard.includes('onClose')) await turn();
    expect(receiver.error()).toBe('because of Error: rain');
  });

  it.each(['before', 'after'])('reports an end that came %s it was created', async (when) => {
    const { near } = pair();
    if (when === 'before') near.on('error', () => {}).destroy(new Error('rain'));
    if (when === 'before') await new Promise((resolve) => near.on('close', resolve));
    const transport = new StreamTransport(near);
    if (when === 'after') near.destroy(new Error('rain'));
    await turn();
    const receiver = listener();
    transport.open(receiver);
    expect(receiver.heard).toEqual([]);
    await turn();
    expect(receiver.heard).toEqual(['onClose']);
    expect(receiver.error()).toMatchObject({ message: 'rain' });
  });

  it.each(['destroy()', 'the end'])('closes without the errors of writes that %s cancels', async (way) => {
    const { near, far } = pair();
    const transport = new StreamTransport(near);
    const receiver = listener();
    transport.open(receiver);
    let back = 0;
    transport.write(bytes('never'), () => back++);
    if (way === 'destroy()') transport.destroy();
    else far.end();
    while (!receiver.heard.includes('onClose')) await turn();
    expect(near.errored).toMatchObject({ message: 'write ECANCELED' });
    expect(receiver.error()).toBeUndefined();
    expect(back).toBe(1);
  });

  it('closes a stream that delivers something else than bytes', async () => {
    const { near } = pair();
    near.setEncoding('utf8');
    const transport = new StreamTransport(near);
    const receiver = listener();
    transport.open(receiver);
    near.push('text');
    while (!receiver.heard.includes('onClose')) await turn();
    expect(receiver.error()).toMatchObject({
      message: 'transport: expected bytes from the stream, got string',
    });
  });

  it('gives back at once bytes that are written after the end', () => {
    const { near } = pair();
    const transport = new StreamTransport(near);
    transport.destroy();
    let back = 0;
    transport.write(bytes('x'), () => back++);
    expect(back).toBe(1);
  });

  it('closes at once with end() before open()', () => {
    const { near } = pair();
    new StreamTransport(near).end();
    expect(near.destroyed).toBe(true);
  });
});

describe('a stream with special options', () => {
  it('is closed with its error, also with autoDestroy: false', async () => {
    const stream = new Duplex({
      autoDestroy: false,
      read() {},
      write: (_chunk, _encoding, callback) => callback(new Error('rain')),
    });
    const transport = new StreamTransport(stream);
    const receiver = listener();
    transport.open(receiver);
    let back = 0;
    transport.write(bytes('x'), () => back++);
    while (!receiver.heard.includes('onClose')) await turn();
    expect([back, receiver.error()]).toMatchObject([1, { message: 'rain' }]);
  });

  it('is closed if it had ended before', async () => {
    const { near, far } = pair();
    far.end();
    near.resume();
    await once(near, 'end');
    const transport = new StreamTransport(near);
    const receiver = listener();
    transport.open(receiver);
    await turn();
    expect(receiver.heard).toEqual(['onClose']);
  });
});

describe('transportOver()', () => {
  it('accepts any Duplex, and nothing else', () => {
    const { near } = pair();
    expect(transportOver(near)).toBeInstanceOf(StreamTransport);
    for (const wrong of [undefined, null, {}, 'stream'])
      expect(() => transportOver(wrong as never)).toThrow('transportOver: expected a Duplex, got');
  });
});
