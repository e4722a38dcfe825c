import type { ClientOptions, ConfigurableOptions } from './client-options.ts';
import type { ServerUrl } from './endpoints.ts';
import { CONFIGURABLE } from './schema.ts';
import { toSettings, type Settings } from './settings.ts';
import { checkKeys } from './validate.ts';

/** The options of a client and its settings, as `configure()` changes them. */
export class Configuration<UserData> {
  readonly #url: ServerUrl;
  readonly #random: () => number;
  #options: ClientOptions<UserData>;
  #settings: Settings<UserData>;

  constructor(url: ServerUrl, options: ClientOptions<UserData>, random: () => number) {
    this.#url = url;
    this.#random = random;
    this.#settings = toSettings(url, options, random);
    this.#options = { ...options };
  }

  get settings(): Settings<UserData> {
    return this.#settings;
  }

  /** Checks like the constructor, and changes nothing if anything is wrong. */
  change(changes: ConfigurableOptions<UserData>): void {
    checkKeys('configure', changes, CONFIGURABLE);
    const logger = changes.logger === null ? undefined : (changes.logger ?? this.#options.logger);
    const options = { ...this.#options, ...changes, logger };
    const next = toSettings(this.#url, options, this.#random);
    // The engine keeps one object for life. `connect()` may have changed the Keep Alive in it.
    const { engine } = this.#settings;
    const keepAlive = 'keepAlive' in changes ? next.engine.keepAlive : engine.keepAlive;
    Object.assign(engine, next.engine, { clientId: engine.clientId, keepAlive });
    this.#settings = { ...next, engine };
    this.#options = options;
  }
}
