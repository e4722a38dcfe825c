import './assigned-aliases.spec.ts';
import './connection.spec.ts';
import './negotiated.spec.ts';
import './slices.spec.ts';
