import { expect, it } from '@jest/globals';
import { Notifier } from '../../../lib/client/runtime/notifier.ts';

it('Notifier calls its listeners until they leave, even while they are called', () => {
  const notifier = new Notifier();
  const heard: string[] = [];
  const leave = notifier.add(() => {
    heard.push('one');
    leave();
  });
  notifier.add(() => heard.push('two'));
  notifier.notify();
  notifier.notify();
  expect(heard).toEqual(['one', 'two', 'two']);
});
