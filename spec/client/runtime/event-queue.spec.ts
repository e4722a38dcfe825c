import { describe, expect, it } from '@jest/globals';
import { EventQueue } from '../../../lib/client/runtime/event-queue.ts';

describe('EventQueue', () => {
  it('runs an event at once if the engine is not running', () => {
    const log: string[] = [];
    new EventQueue().add(() => log.push('event'));
    expect(log).toEqual(['event']);
  });

  it('runs what was added meanwhile when the engine returns, in order', () => {
    const log: string[] = [];
    const events = new EventQueue();
    events.enter();
    events.add(() => log.push('first'));
    events.add(() => log.push('second'));
    log.push('engine');
    events.leave();
    expect(log).toEqual(['engine', 'first', 'second']);
    events.enter();
    events.leave();
    expect(log).toHaveLength(3);
  });

  it('runs what an event causes after the events that wait', () => {
    const log: string[] = [];
    const events = new EventQueue();
    events.enter();
    events.add(() => {
      events.enter();
      events.add(() => log.push('third'));
      events.leave();
      events.add(() => log.push('within the first'));
      log.push('first');
    });
    events.add(() => log.push('second'));
    events.leave();
    expect(log).toEqual(['within the first', 'first', 'second', 'third']);
  });

  it('keeps the other events if one throws', () => {
    const log: string[] = [];
    const events = new EventQueue();
    events.enter();
    events.add(() => {
      throw new Error('a bug');
    });
    events.add(() => log.push('second'));
    expect(() => events.leave()).toThrow('a bug');
    events.enter();
    events.leave();
    expect(log).toEqual(['second']);
  });
});
