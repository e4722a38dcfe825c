import { brokerSpecs } from './broker-specs.ts';

brokerSpecs('RabbitMQ');
