import { wrongType } from './checks.ts';

/**
 * What can be published. Bytes are sent as they are, a string as UTF-8, a number as its decimal text, `null` as a
 * payload of zero length. Bytes are not copied until the call settles: until then they must not change.
 */
export type Payload = string | Uint8Array | ArrayBuffer | ArrayBufferView | number | null;

const EMPTY = new Uint8Array(0);

/** A payload in one of two forms: text, which is encoded straight into the output, or bytes. */
export function toPayload(payload: Payload): string | Uint8Array {
  if (typeof payload === 'string') {
    if (!payload.isWellFormed())
      throw new TypeError('payload: expected well-formed text, got a lone surrogate');
    return payload;
  }
  if (payload instanceof Uint8Array) return payload;
  if (payload === null) return EMPTY;
  if (typeof payload === 'number') return String(payload);
  if (ArrayBuffer.isView(payload))
    return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
  if (isArrayBuffer(payload)) return new Uint8Array(payload);
  throw wrongType('payload', 'a string, bytes, a number or null', payload);
}

/** A payload as bytes of its own. */
export function toBytes(payload: Payload): Uint8Array {
  const value = toPayload(payload);
  return typeof value === 'string' ? new TextEncoder().encode(value) : value.slice();
}

/** Also for one from another realm, of which `instanceof` says no. */
function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]';
}
