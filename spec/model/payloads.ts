/** Payloads that identify their message and reveal every foreign byte. */

/** The text of message `tag`, of at least `size` bytes. */
export function payloadText(kind: 'p' | 'm', tag: number, size: number): string {
  return `${kind}${tag}|`.padEnd(size, String.fromCharCode(35 + (tag % 80)));
}

/** The tag of an intact payload. Undefined if it was not sent like that. */
export function tagOf(
  kind: 'p' | 'm',
  payload: Uint8Array,
  sizeOf: (tag: number) => number,
): number | undefined {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('latin1');
  const bar = text.indexOf('|');
  if (bar < 2 || text[0] !== kind) return undefined;
  const tag = Number(text.slice(1, bar));
  return payloadText(kind, tag, sizeOf(tag)) === text ? tag : undefined;
}
