import { brokerSpecs } from './broker-specs.ts';

brokerSpecs('Mosquitto');
