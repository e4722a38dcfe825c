/**
 * Topic Names (4.7): text without wildcards. Every code point counts, nothing is normalised, and an empty level is a
 * level.
 */

/** The longest Topic Name or Topic Filter, in bytes of UTF-8 [MQTT-4.7.3-3]. */
const MAX_TOPIC_BYTES = 65_535;

/** The most bytes of UTF-8 per UTF-16 unit: a pair of surrogates is two units and four bytes. */
const MOST_BYTES_PER_UNIT = 3;

const NUL = 0x00;
const HASH = 0x23;
const PLUS = 0x2b;

/** ASCII without U+0000, `+` and `#`: one pass over the text tells that it is legal, and that it has one byte per character. */
// oxlint-disable-next-line no-control-regex
const PLAIN = /^[\x01-\x22\x24-\x2a\x2c-\x7f]+$/;

/** The plain name that was checked last. `publish()` checks a name, and the codec checks it again when it is written. */
let lastPlain = '';

/** hot: whether a Topic Name is legal, with one byte per character. False: {@link topicNameError} tells more. */
export function isPlainTopicName(name: string): boolean {
  if (name === lastPlain) return name !== '';
  if (name.length > MAX_TOPIC_BYTES || !PLAIN.test(name)) return false;
  lastPlain = name;
  return true;
}

/**
 * Why a Topic Name is illegal, as the text of a `TypeError`; undefined if it is legal: 1 to 65,535 bytes of well-formed
 * UTF-8 [MQTT-4.7.3-1, -3] without U+0000 [MQTT-4.7.3-2], `+` and `#` [v5 MQTT-4.7.0-1]. The empty Topic Name of a PUBLISH
 * with a Topic Alias is not for this function.
 */
export function topicNameError(name: string): string | undefined {
  if (isPlainTopicName(name)) return undefined;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit === PLUS || unit === HASH) {
      return `expected a Topic Name without the wildcards + and #, got ${quoted(name)}`;
    }
  }
  return topicTextError(name, 'Topic Name');
}

/** The rules that Topic Names and Topic Filters share: see {@link topicNameError}. */
export function topicTextError(text: string, what: 'Topic Name' | 'Topic Filter'): string | undefined {
  if (text.length === 0) return `expected a ${what} of at least one character, got an empty string`;
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) === NUL) return `expected a ${what} without U+0000, got ${quoted(text)}`;
  }
  if (!text.isWellFormed()) return `expected a ${what} of well-formed Unicode, got ${quoted(text)}`;
  // Almost every text is so short that its bytes need not be counted.
  if (text.length * MOST_BYTES_PER_UNIT > MAX_TOPIC_BYTES) {
    const bytes = utf8Length(text);
    if (bytes > MAX_TOPIC_BYTES) return `expected a ${what} of at most 65,535 bytes, got ${bytes} bytes`;
  }
  return undefined;
}

/** The number of bytes of well-formed `text` in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 2;
    else bytes += 1; // half of a pair: two units, four bytes
  }
  return bytes;
}

/** `text` in an error message: on one line, and cut after 80 characters. */
export function quoted(text: string): string {
  return text.length <= 80
    ? JSON.stringify(text)
    : `${JSON.stringify(text.substring(0, 80))}… (${text.length} characters)`;
}
