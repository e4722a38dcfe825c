import type { Change } from '../../engine/effects.ts';
import { messageOf, type MqttError } from '../../errors.ts';
import type { Endpoints } from '../config/endpoints.ts';
import type { ClientLogger } from '../logger.ts';
import type { OverflowReports } from '../receive/overflow-reports.ts';
import type { Router } from '../receive/router.ts';
import type { StallDetector } from '../receive/stall-detector.ts';
import type { SubscribeCalls } from '../receive/subscribe-calls.ts';
import type { UnmatchedMessages } from '../receive/unmatched-messages.ts';
import type { Counters } from '../stats.ts';
import type { Status } from '../status.ts';
import type { ConnectCalls } from './connect-calls.ts';

interface ChangeHandlerParts {
  readonly connectCalls: ConnectCalls;
  readonly subscribeCalls: SubscribeCalls;
  readonly endpoints: Endpoints;
  readonly router: Router;
  readonly unmatched: UnmatchedMessages;
  readonly stallDetector: StallDetector;
  readonly overflowReports: OverflowReports;
  readonly status: Status;
  readonly counters: Counters;
  readonly logger: ClientLogger;
  readonly persistent: boolean;
}

/** What the client does when its engine reports a change: log lines, status events, counters, and its parts. */
export class ChangeHandler {
  readonly #parts: ChangeHandlerParts;

  constructor(parts: ChangeHandlerParts) {
    this.#parts = parts;
  }

  handle(change: Change): void {
    const { connectCalls, counters, logger, stallDetector, status } = this.#parts;
    switch (change.type) {
      case 'connecting':
        logger.debug(`connecting (attempt ${change.attempt})`);
        status.report(change);
        break;
      case 'nextServer':
        logger.warn(`${messageOf(change.error)}; the next server is tried`);
        break;
      case 'connected':
        this.#connected(change);
        break;
      case 'disconnected': {
        const { error, willRetryIn, flapping } = change;
        counters.failed(error);
        logger.warn(`disconnected: ${messageOf(error)}; next attempt in ${Math.round(willRetryIn)} ms`);
        status.report({ type: 'disconnected', reason: error, willRetryIn, flapping });
        break;
      }
      case 'gaveUp':
        connectCalls.gaveUp(change.error);
        counters.failed(change.error);
        logger.error(`not connected: ${messageOf(change.error)}`);
        break;
      case 'ackStalled':
        stallDetector.unsettled(change.receipts, change.ms);
        break;
      case 'stopped':
        stallDetector.stopped();
        break;
      case 'lastResort':
        this.#lastResort(change.ms);
        break;
      case 'sessionLost':
        this.#sessionLost(change.unsettled);
        break;
      case 'tolerated':
        logger.warn(change.what);
        break;
      case 'refused':
        logger.error(`the server refused to restore ${change.results.length} subscriptions`);
        this.#parts.subscribeCalls.refused(change.results, change.givenUp);
        break;
      case 'closed':
        this.#closed(change.error);
        break;
    }
  }

  #connected({ connack }: Extract<Change, { type: 'connected' }>): void {
    const { connectCalls, endpoints, logger, router, status, unmatched } = this.#parts;
    const { type: _, ...answer } = connack;
    connectCalls.connected(answer);
    endpoints.connected();
    logger.info('connected');
    unmatched.connected();
    if (!answer.sessionPresent) router.restored();
    status.report({ type: 'connected', connack: answer });
  }

  #lastResort(ms: number): void {
    const what = this.#parts.persistent ? 'left to the server until the next connection' : 'dropped';
    this.#parts.logger.warn(
      `no message was settled for ${ms} ms, and the buffer for an awaited answer is full: new messages are ${what}`,
    );
  }

  #sessionLost(unsettled: number): void {
    const { logger, router, status, unmatched } = this.#parts;
    unmatched.clear();
    for (const subscription of router.subscriptions) subscription.sessionLost(); // fault: lost-session
    logger.warn('the server has lost the session');
    status.report({ type: 'session-lost', unsettled });
  }

  #closed(error: MqttError | undefined): void {
    const { connectCalls, counters, logger, overflowReports } = this.#parts;
    const { stallDetector, status, subscribeCalls, unmatched } = this.#parts;
    connectCalls.end(error);
    if (error === undefined) logger.info('closed');
    else {
      counters.lastError = error;
      logger.error(`closed: ${messageOf(error)}`);
    }
    unmatched.clear();
    stallDetector.stop();
    overflowReports.stop();
    subscribeCalls.endAll(error);
    status.report(error === undefined ? { type: 'closed' } : { type: 'closed', error });
  }
}
