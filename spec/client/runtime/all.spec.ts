import './buffer-text.spec.ts';
import './cancellation.spec.ts';
import './client-runtime.spec.ts';
import './connect-calls.spec.ts';
import './drain.spec.ts';
import './event-loop.spec.ts';
import './link.spec.ts';
