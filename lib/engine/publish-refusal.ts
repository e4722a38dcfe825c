import type { AckProperties } from '../codec/packets.ts';
import { reasonCodeName } from '../codec/reason-codes.ts';
import { PublishError, shown } from '../errors.ts';

/** The error of a message that the server has refused in its acknowledgement. */
export function refusedMessage(reasonCode: number, properties: AckProperties): PublishError {
  const name = `${reasonCodeName(reasonCode)} (0x${reasonCode.toString(16)})`;
  const why = properties.reasonString === undefined ? '' : `: ${shown(properties.reasonString)}`;
  const fate = { delivery: 'rejected', kept: false } as const;
  return new PublishError(`the server refused the message: ${name}${why}`, reasonCode, fate, {
    ...properties,
  });
}
