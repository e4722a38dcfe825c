import './conformance.spec.ts';
import './level-errors.spec.ts';
import './session-keys.spec.ts';
