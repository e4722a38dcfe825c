/**
 * All that the pure floors may know of their platform: text to bytes and back. Whatever else they need (a clock, a
 * faster decoder) is handed to them. The name begins with a dot so that no other project includes this file: there
 * these declarations would hide the real ones.
 */

declare class TextEncoder {
  encode(text: string): Uint8Array;
  encodeInto(text: string, target: Uint8Array): { readonly read: number; readonly written: number };
}

declare class TextDecoder {
  constructor(label?: string, options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean });
  decode(bytes?: Uint8Array): string;
}
