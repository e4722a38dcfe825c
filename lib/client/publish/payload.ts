import { types } from 'node:util';
import { copyOf, isPlainBytes } from '../../bytes.ts';
import { wrongType } from '../config/validate.ts';

/**
 * The payload of a message. Bytes are sent as they are, a string as UTF-8, a number as decimal text, `null` as an empty
 * payload. Bytes are not copied: until the call settles they must not change, and their memory must not be transferred or
 * resized.
 */
export type Payload = string | Uint8Array | ArrayBuffer | ArrayBufferView | number | null;

const EMPTY = new Uint8Array(0);

/** Throws if the memory of a typed array was transferred. */
const checkMemory = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  'keys',
)?.value as (this: unknown) => unknown;

/** hot: a payload as text, which is encoded directly into the output, or as plain bytes. */
export function toPayload(payload: Payload): string | Uint8Array {
  if (typeof payload === 'string') {
    if (!payload.isWellFormed())
      throw new TypeError('payload: expected well-formed text, got a lone surrogate');
    return payload;
  }
  if (payload === null) return EMPTY;
  if (typeof payload === 'number') return String(payload);
  // Bytes whose memory was transferred have no length.
  if (isPlainBytes(payload) && payload.length > 0) return payload;
  return viewOf(payload);
}

/** A copy of a payload as bytes. */
export function toBytes(payload: Payload): Uint8Array {
  const value = toPayload(payload);
  return typeof value === 'string' ? new TextEncoder().encode(value) : copyOf(value);
}

/** A plain view of the same memory. Checks the internal type, not the shape of the object. */
function viewOf(payload: ArrayBuffer | ArrayBufferView): Uint8Array {
  const isView = ArrayBuffer.isView(payload);
  if (!isView && !types.isArrayBuffer(payload))
    throw wrongType('payload', 'a string, bytes, a number or null', payload);
  try {
    if (!isView) return new Uint8Array(payload, 0, payload.byteLength);
    if (types.isTypedArray(payload)) checkMemory.call(payload);
    const { buffer, byteOffset, byteLength } = payload;
    if (types.isAnyArrayBuffer(buffer)) return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (cause) {
    throw new TypeError('payload: expected bytes, got some whose memory was transferred or resized', {
      cause,
    });
  }
  throw wrongType('payload', 'bytes with memory of their own', payload);
}
