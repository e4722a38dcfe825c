import { describe, expect, it } from '@jest/globals';
import { MessagesByTopic } from '../../lib/client/receive/messages-by-topic.ts';
import type { ReceivedMessage } from '../../lib/client/receive/received-message.ts';
import { messageOf } from '../client/receive/subscription-rig.ts';
import { countInMemory } from '../support/garbage.ts';

describe('MessagesByTopic', () => {
  it('does not hold a message that was removed', async () => {
    const messages = new MessagesByTopic();
    const add = (): WeakRef<ReceivedMessage> => {
      const added = messageOf(new Uint8Array(1), { topic: 'a', qos: 0 });
      messages.push(added);
      return new WeakRef(added);
    };
    const [first, second, third] = [add(), add(), add()];
    messages.removeOldest('a');
    messages.shift();
    expect(await countInMemory([first, second])).toBe(0);
    expect(third.deref()).toBeDefined();
    expect(messages.length).toBe(1);
  });
});
