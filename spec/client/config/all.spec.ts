import './authentication.spec.ts';
import './connect-inputs.spec.ts';
import './endpoints.spec.ts';
import './network-options.spec.ts';
import './options.spec.ts';
import './settings.spec.ts';
import './tls-options.spec.ts';
