import './filters.spec.ts';
import './names.spec.ts';
import './trie.spec.ts';
