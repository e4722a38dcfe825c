/*
 * What can be taken out of lib: the check that refuses a breach of a statement. A check is one or more places. The name of
 * a place is its file or folder, and a piece of source, which is looked up in the syntax tree: see take-out.mjs.
 */

/** The smallest `throw`, `return` or call that contains `text`; `code` takes its place. */
const drop = (path, text, code = '') => [{ path, statement: text, code }];
/** The expression `text`; `code` takes its place. */
const becomes = (path, text, code) => [{ path, expression: text, code }];
const off = (path, text) => becomes(path, text, 'false');
/** Two guards of the same thing: taken out together. */
const all = (...checks) => checks.flat();

// Strings, topics, Packet Identifiers
const ILL_FORMED_READ = drop('codec/reader', 'illFormed(this.version)', "return 'ill-formed';");
const ILL_FORMED_WRITTEN = drop('codec/writer', 'has a lone surrogate');
const NUL_READ = drop('codec/reader', 'withNul(this.version)');
const NUL_WRITTEN = drop('codec/writer', 'contains U+0000');
const ILL_FORMED_TOPIC = drop('topic/names', 'well-formed Unicode');
const TOPIC_WILDCARD = drop('topic/names', 'without the wildcards + and #, got');
const TOPIC_EMPTY = drop('topic/names', 'at least one character, got an empty string');
const TOPIC_NUL = drop('topic/names', 'without U+0000');
const TOPIC_LONG = drop('topic/names', 'of at most 65,535 bytes');
const HASH_LAST = drop('topic/filters', '# alone in its last level');
const PLUS_ALONE = drop('topic/filters', '+ alone in its level');
const SHARE_NAME = off('topic/filters', "shareName === '' || hasWildcard(shareName)");
const SHARE_FILTER = drop('topic/filters', 'after $share/{ShareName}/');
const FILTER_TEXT = all(ILL_FORMED_WRITTEN, ILL_FORMED_TOPIC);
const PUBLISH_TOPIC_READ = drop('codec/publish-reader', '`PUBLISH: ${error}`');
const PUBLISH_TOPIC_WRITTEN = drop('codec/publish-writer', '`PUBLISH: ${error}`');
const WILL_TOPIC = drop('codec/connect', '`will.topic: ${error}`');
const ID_WRITTEN = drop('codec/writer', 'packetId is 0');
const ID_OF_PUBLISH = drop('codec/publish-reader', 'zeroPacketId(version)');
const ID_OF_ACK = drop('codec/acks', 'zeroPacketId(version)');
const ID_WITH_QOS_0 = drop('codec/publish-writer', 'packetId is given with qos 0');
const ID_UNKNOWN = drop('engine', 'which does not await it', 'return;');

// Packets
const FLAGS = off('codec/packet-type', 'header !== HEADERS[type]');
const ACK_FLAGS = off('codec/acks', 'flags !== (header >> 4 === PacketType.pubrel ? 2 : 0) && version !== 3');
const TYPE = drop('codec/packet-type', 'must not be sent to a');
const FIELD = drop('codec/reader', 'a field is longer than');
const REST = drop('codec/reader', 'more bytes after its last field');
const PUBLISH_SHORT = drop('codec/publish-reader', 'throw truncated()');
const ACK_SHORT = drop('codec/acks', 'ends before the end of its Packet Identifier');
const LENGTH_PADDED = drop('codec/framer', 'Remaining Length is longer than necessary');
const LENGTH_LONG = drop('codec/framer', 'Remaining Length is longer than four bytes', 'return 0;');
const TOO_LARGE = drop('codec/framer', 'this.#tooLarge(end - at)');
const DUP_READ = drop('codec/publish-reader', 'PUBLISH has DUP with QoS 0');
const DUP_WRITTEN = drop('codec/publish-writer', 'duplicate is true with qos 0');
const QOS_3_READ = drop('codec/publish-reader', 'PUBLISH has QoS 3', 'return;');
const QOS_3_WRITTEN = all(
  drop('codec/errors', '`${what} is 3`'),
  becomes('codec/errors', 'integer(what, value, 0, 2)', 'value'),
);
const NO_FILTERS = drop('codec/subscribe', 'subscriptions is empty');
const NO_FILTERS_TO_END = drop('codec/subscribe', 'topicFilters is empty');
const CODES = off('codec/reason-codes', 'LEGAL[packet][code] !== 1 || wrongWay?.[code] === 1');
const OLD_SUBACK_CODES = drop('codec/reason-codes', 'SUBACK has the reserved return code');
const OLD_CONNACK_CODES = drop('codec/reason-codes', 'CONNACK has the reserved return code');
const CONNACK_FLAGS = drop('codec/connack', 'CONNACK has Acknowledge Flags');
const CODE_PER_FILTER = drop('engine', 'codes for ${filters} Topic Filters');

// Properties
const UNKNOWN_READ = drop('codec/properties', 'must not have a property 0x', 'continue;');
const UNKNOWN_WRITTEN = drop('codec/properties', 'throw notLegal(name, host)', 'continue;');
const TWICE = drop('codec/properties', '${property.name} twice');
const ZERO = drop('codec/properties', 'is 0, which is not allowed');
const NOT_BIT = drop('codec/properties', 'not 0 or 1');
const RESPONSE_TOPIC = drop('codec/properties', '`responseTopic: ${error}`');
const NO_METHOD = drop('codec/auth', 'throw noMethod()');
const NOT_UTF8 = drop('codec/publish-writer', 'the payload is not well-formed UTF-8');

// What CONNACK says
const RETAIN = drop('engine', 'return 0x9a');
const MAXIMUM_QOS = drop('engine', 'return 0x9b');
const PACKET_SIZE = drop('engine', 'return 0x95');
const ALIAS_SENT = drop('engine', 'return 0x94');
const ALIAS_ABOVE = drop('connection', 'above the Topic Alias Maximum of');
const ALIAS_UNSET = drop('connection', 'the alias was not defined', "return '';");

// What ends a connection
const BEFORE_CONNACK = drop(
  'engine',
  '`${packet.type} before CONNACK`',
  "return { type: 'connack', sessionPresent: false, reasonCode: 0, properties: {} };",
);
const REFUSED = drop('engine', 'this.fail(connackError(connack, protocolVersion)');
const DISCONNECTED = drop('engine', 'this.fail(disconnectError(packet), now');
const BROKEN = drop('engine', 'this.fail(protocolError(error, state), now)');
const TOLD = drop('engine', 'reasonCode: sendableCode(error.reasonCode)');
const LOST = drop('engine', 'lostError(cause, this.#state.state)');
const NO_PINGRESP = drop('engine', 'the server did not answer PINGREQ in time', 'return undefined;');
const FINAL = off('engine', 'FINAL_ANYWHERE.has(reasonCode)');
const SESSION_AFTER_CLEAN_START = drop('connection', 'Session Present 1 after Clean Start 1');
const OTHER_METHOD = drop('connection', 'another Authentication Method than CONNECT');
const TEXT_FRAME = off('transport/websocket-transport', '!isBinary');
const SUBPROTOCOL = drop('transport/websocket', 'did not select the subprotocol');

const TOPIC_TEXT = { wildcard: [TOPIC_WILDCARD], hash: [HASH_LAST], plus: [PLUS_ALONE] };

/** For each statement whose breach is refused: its checks. Each of them is taken out by itself. */
const V5 = {
  'MQTT-1.5.4-1': [ILL_FORMED_READ, ILL_FORMED_WRITTEN],
  'MQTT-1.5.4-2': [NUL_READ, NUL_WRITTEN],
  'U-1.5.4-b': [
    FIELD,
    drop('codec/writer', 'more than the 65,535 of a string'),
    drop('codec/writer', 'more than the 65,535 of Binary Data'),
  ],
  'MQTT-1.5.5-1': [LENGTH_PADDED, drop('codec/reader', 'a Variable Byte Integer is longer than necessary')],
  'U-1.5.5-a': [
    LENGTH_LONG,
    drop('codec/reader', 'a Variable Byte Integer is longer than four bytes', 'return value;'),
    drop('codec/publish-writer', 'more than the protocol can express'),
  ],
  'MQTT-1.5.7-1': [ILL_FORMED_READ, ILL_FORMED_WRITTEN, NUL_READ, NUL_WRITTEN],
  'MQTT-2.1.3-1': [FLAGS],
  'U-2.1.2-a': [TYPE],
  'U-2.1.4-a': [FIELD, REST, ACK_SHORT],
  'MQTT-2.2.1-2': [ID_WITH_QOS_0],
  'MQTT-2.2.1-3': [ID_WRITTEN],
  'MQTT-2.2.1-4': [ID_OF_PUBLISH, drop('engine', 'is in use`', 'return false;')],
  'MQTT-2.2.1-5': [ID_OF_ACK],
  'MQTT-2.2.1-6': [ID_UNKNOWN],
  'MQTT-2.2.2-1': [FIELD],
  'U-2.2.2-a': [UNKNOWN_READ, UNKNOWN_WRITTEN],
  'U-2.2.2-b': [TWICE],
  'U-2.4-a': [CODES],
  'MQTT-3.1.2-2': [off('codec/connack', 'reasonCode === UNACCEPTABLE_LEVEL')],
  'MQTT-3.1.2-12': [QOS_3_WRITTEN, drop('codec/connect', "refuse('Will QoS 3'")],
  'U-3.1.2-b': [NO_PINGRESP],
  'U-3.1.2-d': [ZERO, drop('codec/properties', 'authenticationData is present without')],
  'MQTT-3.1.2-24': [TOO_LARGE],
  'MQTT-3.1.2-26': [ALIAS_ABOVE],
  'MQTT-3.1.2-27': [ALIAS_ABOVE],
  'MQTT-3.1.2-29': [drop('engine', 'though none were asked for')],
  'MQTT-3.1.3-4': [ILL_FORMED_WRITTEN, NUL_WRITTEN],
  'MQTT-3.1.3-8': [REFUSED, FINAL],
  'MQTT-3.1.3-11': [WILL_TOPIC],
  'MQTT-3.1.3-12': [ILL_FORMED_WRITTEN, NUL_WRITTEN],
  'MQTT-3.1.4-3': [DISCONNECTED, FINAL],
  'MQTT-3.2.0-1': [BEFORE_CONNACK],
  'MQTT-3.2.0-2': [drop('engine/lifecycle', 'throw cause', 'return;')],
  'U-3.2.0-a': [drop('engine', 'this.fail(timeoutError(during')],
  'MQTT-3.2.2-1': [CONNACK_FLAGS],
  'MQTT-3.2.2-2': [SESSION_AFTER_CLEAN_START],
  'MQTT-3.2.2-4': [drop('connection', 'but the client has no session')],
  'MQTT-3.2.2-6': [REFUSED],
  'MQTT-3.2.2-7': [REFUSED],
  'MQTT-3.2.2-8': [CODES],
  'MQTT-3.2.2-9': [NOT_BIT, TWICE],
  'MQTT-3.2.2-11': [MAXIMUM_QOS],
  'MQTT-3.2.2-12': [REFUSED],
  'MQTT-3.2.2-13': [REFUSED],
  'MQTT-3.2.2-14': [RETAIN],
  'MQTT-3.2.2-15': [
    PACKET_SIZE,
    becomes('engine', 'packet.length <= (connection.negotiated?.maximumPacketSize ?? Infinity)', 'true'),
  ],
  'MQTT-3.2.2-16': [drop('connection', 'has no Assigned Client Identifier')],
  'MQTT-3.2.2-17': [ALIAS_SENT],
  'MQTT-3.2.2-18': [ALIAS_SENT],
  'MQTT-3.2.2-19': [TOO_LARGE],
  'MQTT-3.2.2-20': [TOO_LARGE],
  'U-3.2.2-a': [ZERO, NOT_BIT],
  'U-3.2.2-c': [off('engine', '!wildcards && hasWildcard(topicFilter)')],
  'U-3.2.2-e': [off('engine', '!shared && isShared(topicFilter)')],
  'MQTT-3.3.1-2': [DUP_READ, DUP_WRITTEN],
  'MQTT-3.3.1-4': [QOS_3_READ, QOS_3_WRITTEN],
  'MQTT-3.3.2-1': [ILL_FORMED_READ],
  'MQTT-3.3.2-2': [PUBLISH_TOPIC_READ, PUBLISH_TOPIC_WRITTEN],
  'U-3.3.2-a': [
    drop('codec/publish-reader', 'throw noTopic(version)'),
    drop('codec/publish-writer', 'PUBLISH has neither a Topic Name nor'),
  ],
  'U-3.3.2-b': [NOT_UTF8, NOT_BIT],
  'MQTT-3.3.2-8': [ZERO],
  'MQTT-3.3.2-9': [ALIAS_SENT],
  'MQTT-3.3.2-11': [ALIAS_ABOVE],
  'U-3.3.4-a': [ALIAS_UNSET],
  'MQTT-3.3.2-13': [ILL_FORMED_READ, FILTER_TEXT],
  'MQTT-3.3.2-14': [RESPONSE_TOPIC],
  'MQTT-3.3.2-19': [ILL_FORMED_READ, ILL_FORMED_WRITTEN],
  'U-3.3.2-c': [ZERO],
  'MQTT-3.3.4-6': [
    drop('codec/publish-reader', 'PUBLISH from a client has a Subscription Identifier'),
    becomes('client/publish/publish-calls', 'sendable(options.properties)', 'options.properties'),
  ],
  'MQTT-3.4.2-1': [CODES],
  'MQTT-3.5.2-1': [CODES],
  'MQTT-3.6.1-1': [ACK_FLAGS],
  'MQTT-3.6.2-1': [CODES],
  'MQTT-3.7.2-1': [CODES],
  'U-3.4.4-a': [
    drop('engine', "wrongFlow('PUBACK', exchange)", 'return;'),
    drop('engine', "wrongFlow('PUBREC', exchange)", 'return;'),
    drop('engine', "wrongFlow('PUBCOMP', exchange)", 'return false;'),
  ],
  'U-3.8.2-a': [ZERO],
  'MQTT-3.8.3-1': [FILTER_TEXT],
  'MQTT-3.8.3-2': [NO_FILTERS],
  'MQTT-3.8.3-4': [
    drop('codec/subscribe', 'SUBSCRIBE has No Local on a Shared Subscription'),
    drop('client/receive', 'expected false with a shared subscription'),
  ],
  'U-3.8.3-a': [
    drop('codec/subscribe', 'retainHandling is 3'),
    drop('codec/subscribe', 'SUBSCRIBE asks for QoS 3'),
  ],
  'MQTT-3.8.4-2': [ID_UNKNOWN],
  'MQTT-3.8.4-6': [CODE_PER_FILTER],
  'MQTT-3.9.2-1': [TOO_LARGE],
  'MQTT-3.9.2-2': [TOO_LARGE],
  'MQTT-3.9.3-2': [CODES],
  'MQTT-3.10.3-1': [FILTER_TEXT],
  'MQTT-3.10.3-2': [NO_FILTERS_TO_END],
  'MQTT-3.11.2-1': [TOO_LARGE],
  'MQTT-3.11.2-2': [TOO_LARGE],
  'MQTT-3.11.3-1': [CODE_PER_FILTER],
  'MQTT-3.11.3-2': [CODES],
  'MQTT-3.12.4-1': [REST, NO_PINGRESP],
  'MQTT-3.14.0-1': [BEFORE_CONNACK],
  'MQTT-3.14.1-1': [FLAGS],
  'MQTT-3.14.2-1': [
    CODES,
    becomes(
      'client/client',
      "oneOf('reasonCode', options.reasonCode ?? 0, CLIENT_DISCONNECT_CODES)",
      'options.reasonCode ?? 0',
    ),
  ],
  'U-3.14.2-a': [
    drop('client/client', 'expected 0, as CONNECT had 0'),
    drop('engine', 'expected none, as CONNECT had none'),
  ],
  'U-3.14.4-a': [DISCONNECTED],
  'MQTT-3.15.1-1': [FLAGS],
  'MQTT-3.15.2-1': [CODES],
  'U-3.15.2-a': [NO_METHOD],
  'MQTT-4.7.0-1': TOPIC_TEXT.wildcard,
  'MQTT-4.7.1-1': TOPIC_TEXT.hash,
  'MQTT-4.7.1-2': TOPIC_TEXT.plus,
  'MQTT-4.7.3-1': [TOPIC_EMPTY],
  'MQTT-4.7.3-2': [TOPIC_NUL],
  'MQTT-4.7.3-3': [TOPIC_LONG],
  'MQTT-4.8.2-1': [SHARE_NAME],
  'MQTT-4.8.2-2': [SHARE_NAME, SHARE_FILTER],
  'MQTT-4.12.0-1': [REFUSED],
  'MQTT-4.12.0-2': [drop('engine', 'AUTH before CONNACK that does not continue')],
  'MQTT-4.12.0-4': [REFUSED],
  'MQTT-4.12.0-5': [OTHER_METHOD, drop('engine', 'AUTH has another Authentication Method')],
  'MQTT-4.12.0-6': [OTHER_METHOD, drop('engine', 'AUTH without Authentication Method', "return 'nothing';")],
  'MQTT-4.12.0-7': [off('engine', "this.#phase !== 'idle'")],
  'MQTT-4.12.1-2': [
    drop('engine', "return 'close'", "return 'keep';"),
    drop('engine', '`closed: ${error.message}`', 'return undefined;'),
  ],
  'U-4.13.1-a': [TOLD, BROKEN],
  'MQTT-4.13.2-1': [REFUSED, BROKEN],
  'MQTT-6.0.0-1': [TEXT_FRAME],
  'MQTT-6.0.0-4': [SUBPROTOCOL],
  R1: [UNKNOWN_READ, UNKNOWN_WRITTEN],
  R2: [CODES],
  R4: [FLAGS, REST, LENGTH_LONG],
  R7: [HASH_LAST, PLUS_ALONE, TOPIC_WILDCARD, SHARE_NAME, SHARE_FILTER],
  R8: [TEXT_FRAME, SUBPROTOCOL],
};

const V4 = {
  'MQTT-1.5.3-1': [ILL_FORMED_READ, ILL_FORMED_WRITTEN],
  'MQTT-1.5.3-2': [NUL_READ, NUL_WRITTEN],
  'U4-2.2.1-a': [TYPE],
  'U4-2.2.3-a': [LENGTH_LONG],
  'MQTT-2.2.2-2': [FLAGS, ACK_FLAGS],
  'MQTT-2.3.1-1': [ID_WRITTEN],
  'MQTT-2.3.1-4': [ID_OF_PUBLISH],
  'MQTT-2.3.1-5': [ID_WITH_QOS_0],
  'MQTT-2.3.1-7': [ID_UNKNOWN],
  'MQTT-3.1.2-2': [REFUSED],
  'MQTT-3.1.2-14': [QOS_3_WRITTEN, drop('codec/connect', "refuse('Will QoS 3'")],
  'MQTT-3.1.2-22': [
    drop('codec/connect', 'password is given without username'),
    drop('client/config', 'expected a username with it'),
  ],
  'MQTT-3.1.3-4': [ILL_FORMED_WRITTEN, NUL_WRITTEN],
  'MQTT-3.1.3-7': [
    drop('codec/connect', 'clientId is empty without cleanStart'),
    drop('client/config', 'expected a string that is not empty with cleanStart'),
  ],
  'MQTT-3.1.3-8': [off('engine', 'reasonCode === 1 || reasonCode === 2')],
  'MQTT-3.1.3-9': [REFUSED, off('engine', 'reasonCode === 1 || reasonCode === 2')],
  'MQTT-3.1.3-10': [WILL_TOPIC],
  'MQTT-3.1.3-11': [ILL_FORMED_WRITTEN, NUL_WRITTEN],
  'MQTT-3.2.0-1': [BEFORE_CONNACK],
  'U4-3.2.2-a': [CONNACK_FLAGS, REST],
  'MQTT-3.2.2-1': [SESSION_AFTER_CLEAN_START],
  'MQTT-3.2.2-4': [REFUSED],
  'MQTT-3.2.2-5': [REFUSED],
  'MQTT-3.2.2-6': [LOST],
  'MQTT-3.3.1-2': [DUP_READ, DUP_WRITTEN],
  'MQTT-3.3.1-4': [QOS_3_READ, QOS_3_WRITTEN],
  'MQTT-3.3.2-1': [ILL_FORMED_READ],
  'MQTT-3.3.2-2': [PUBLISH_TOPIC_READ, PUBLISH_TOPIC_WRITTEN],
  'MQTT-3.6.1-1': [FLAGS, ACK_FLAGS],
  'MQTT-3.8.3-1': [FILTER_TEXT],
  'MQTT-3.8.3-3': [NO_FILTERS],
  'MQTT-3-8.3-4': [QOS_3_WRITTEN],
  'MQTT-3.8.4-2': [ID_UNKNOWN],
  'MQTT-3.8.4-5': [CODE_PER_FILTER],
  'MQTT-3.9.3-2': [OLD_SUBACK_CODES],
  'MQTT-3.10.3-1': [FILTER_TEXT],
  'MQTT-3.10.3-2': [NO_FILTERS_TO_END],
  'MQTT-3.12.4-1': [NO_PINGRESP],
  'MQTT-3.14.1-1': [TYPE],
  'MQTT-4.7.1-1': TOPIC_TEXT.wildcard,
  'MQTT-4.7.1-2': TOPIC_TEXT.hash,
  'MQTT-4.7.1-3': TOPIC_TEXT.plus,
  'MQTT-4.7.3-1': [TOPIC_EMPTY],
  'MQTT-4.7.3-2': [TOPIC_NUL],
  'MQTT-4.7.3-3': [TOPIC_LONG],
  'MQTT-4.8.0-1': [BROKEN],
  'MQTT-6.0.0-1': [TEXT_FRAME],
  'MQTT-6.0.0-4': [SUBPROTOCOL],
  R3: [OLD_CONNACK_CODES],
  R4: [FLAGS, REST, LENGTH_LONG, PUBLISH_SHORT],
  R7: [HASH_LAST, PLUS_ALONE, TOPIC_WILDCARD],
  R8: [TEXT_FRAME, SUBPROTOCOL],
};

const V3 = {
  'V31-2': [drop('codec/connect', 'clientId is empty, which MQTT 3.1 does not allow')],
  'V31-3': [drop('codec/connect', 'password is given without username')],
  'V31-12': [NO_PINGRESP],
  'V31-14': [DUP_WRITTEN, PUBLISH_TOPIC_WRITTEN],
  R3: [OLD_CONNACK_CODES],
};

/** The name of a check, under which it is taken out. */
export const nameOf = (places) =>
  places.map(({ path, statement, expression }) => `${path}: ${statement ?? expression}`).join(' + ');

/** The checks of each statement, such as `v5 MQTT-3.3.1-2`. */
export const CHECKS = new Map(
  Object.entries({ v5: V5, v4: V4, v3: V3 }).flatMap(([version, rows]) =>
    Object.entries(rows).map(([id, checks]) => [`${version} ${id}`, checks]),
  ),
);
