import { brokerSpecs } from './broker-specs.ts';

brokerSpecs('Aedes');
