/**
 * What becomes of a message that the engine delivers.
 *
 *   taken         the application has it and settles it; with QoS 0 there is nothing to settle
 *   acknowledge   nobody will settle it, so the engine acknowledges it now
 *
 * `-full`: in addition, a buffer would drop the next message, so the application gets a turn before more is delivered.
 */
export type Delivery = 'taken' | 'taken-full' | 'acknowledge' | 'acknowledge-full';

/** Whether nobody will settle the message, so that the engine acknowledges it. */
export function isUnclaimed(delivery: Delivery): boolean {
  return delivery === 'acknowledge' || delivery === 'acknowledge-full';
}

/** Whether the application gets a turn before more is delivered. */
export function isFull(delivery: Delivery): boolean {
  return delivery === 'taken-full' || delivery === 'acknowledge-full';
}
