import './payload.spec.ts';
import './publish-calls.spec.ts';
import './publish-many-leaving.spec.ts';
import './publish-many.spec.ts';
