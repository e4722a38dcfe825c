import { portableText, type Text } from '../../codec/text.ts';

/** Methods that every Buffer has. They are fast, as they need no view and check no encoding, but they have no types. */
interface BufferMethods {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  utf8Write(this: Uint8Array, text: string, offset: number): number;
}

const methods = Buffer.prototype as unknown as BufferMethods;

/** Up to this length a loop over the units is faster than a call of the platform. */
const SHORT = 32;

// oxlint-disable-next-line no-control-regex
const ASCII = /^[\x00-\x7f]*$/;

/** Text by the functions of Node.js. */
export const bufferText: Text = {
  byteLength: (s) => (s.length <= SHORT ? portableText.byteLength(s) : Buffer.byteLength(s)),
  write: (s, target, at) => methods.utf8Write.call(target, s, at),
  read(bytes, start, end) {
    const text = methods.latin1Slice.call(bytes, start, end);
    return ASCII.test(text) ? text : portableText.read(bytes, start, end);
  },
  readAscii: (bytes, start, end) => methods.latin1Slice.call(bytes, start, end),
};
