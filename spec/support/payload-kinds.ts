import type { Payload } from '../../lib/client/publish/payload.ts';

/** Kinds of bytes that can be published. */
export const BYTE_KINDS = [
  'Uint8Array',
  'part of a Uint8Array',
  'Buffer',
  'pooled Buffer',
  'ArrayBuffer',
  'DataView',
  'Float32Array',
] as const;
export type ByteKind = (typeof BYTE_KINDS)[number];

/** A payload of one kind, and a function that overwrites it, as its owner may do when it is free again. */
export interface Lent {
  readonly payload: Exclude<Payload, string | number | null>;
  readonly reuse: () => void;
}

/** The bytes of `text` as a payload of `kind`. A Float32Array has a multiple of four bytes: others are a DataView. */
export function payloadOf(kind: ByteKind, text: string): Lent {
  const pooled = Buffer.from(text);
  if (kind === 'pooled Buffer') return lent(pooled, pooled);
  // With other bytes before and after it, which must not be sent.
  const isPart = kind === 'part of a Uint8Array' || kind === 'DataView';
  const offset = isPart ? 3 : 0;
  const memory = new ArrayBuffer(pooled.length + 2 * offset);
  const all = new Uint8Array(memory).fill(0x7a);
  const bytes = new Uint8Array(memory, offset, pooled.length);
  bytes.set(pooled);
  switch (kind) {
    case 'Uint8Array':
    case 'part of a Uint8Array':
      return lent(bytes, all);
    case 'Buffer':
      return lent(Buffer.from(memory), all);
    case 'ArrayBuffer':
      return lent(memory, all);
    case 'DataView':
      return lent(new DataView(memory, offset, bytes.length), all);
    default:
      return lent(bytes.length % 4 === 0 ? new Float32Array(memory) : new DataView(memory), all);
  }
}

function lent(payload: Lent['payload'], all: Uint8Array): Lent {
  return { payload, reuse: () => void all.fill(0x7e) };
}
