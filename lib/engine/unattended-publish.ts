import type { AckProperties } from '../codec/packets.ts';
import { isPublishFailure, withoutFrames, type MqttError } from '../errors.ts';
import type { PublishWaiter } from '../session/exchange.ts';
import { Journal } from '../session/journal.ts';
import type { Session } from '../session/session.ts';
import type { Effects } from './effects.ts';
import type { EnginePorts } from './options.ts';
import { refusedMessage } from './publish-refusal.ts';

/** The waiter of a stored message that no call waits for: it reports that the message will not be delivered. */
class UnattendedPublish implements PublishWaiter {
  readonly #topicName: string;
  readonly #effects: Pick<Effects, 'changed'>;

  constructor(topicName: string, effects: Pick<Effects, 'changed'>) {
    this.#topicName = topicName;
    this.#effects = effects;
  }

  settled(reasonCode: number, properties: AckProperties): void {
    if (reasonCode >= 0x80) this.failed(withoutFrames(() => refusedMessage(reasonCode, properties)));
  }

  failed(error: MqttError): void {
    if (isPublishFailure(error) && error.kept) return;
    this.#effects.changed({ type: 'publishFailed', topicName: this.#topicName, error });
  }

  stored(): 'waits' {
    return 'waits';
  }
}

/** The journal of a client with a store. */
export function journalOf(session: Session, ports: EnginePorts, effects: Effects): Journal | undefined {
  const { checksum, storeSizes, text, toWallClock } = ports;
  if (checksum === undefined || toWallClock === undefined) return undefined;
  const unattended = (topicName: string): PublishWaiter => new UnattendedPublish(topicName, effects);
  return new Journal(session, { text, checksum, toWallClock, unattended, storeSizes });
}
