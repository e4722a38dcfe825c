import './idle-clients.spec.ts';
import './messages-by-topic.spec.ts';
import './released.spec.ts';
import './trie.spec.ts';
import './user-properties.spec.ts';
