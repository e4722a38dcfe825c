import { expect, it } from '@jest/globals';
import { Notifier } from '../../../lib/client/runtime/notifier.ts';

it('Watchers tells everybody until they leave, also while it tells', () => {
  const watchers = new Notifier();
  const heard: string[] = [];
  const leave = watchers.add(() => {
    heard.push('one');
    leave();
  });
  watchers.add(() => heard.push('two'));
  watchers.look();
  watchers.look();
  expect(heard).toEqual(['one', 'two', 'two']);
});
