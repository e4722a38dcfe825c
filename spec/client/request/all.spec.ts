import './matching.property.spec.ts';
import './replies.spec.ts';
import './request-calls.spec.ts';
import './request-many.spec.ts';
import './request-over-connections.spec.ts';
import './request-response.spec.ts';
import './topic-convention.spec.ts';
