import { writeAck } from '../codec/acks.ts';
import { Header } from '../codec/packet-type.ts';
import type { Connection } from '../connection/connection.ts';
import type { Answers } from '../session/incoming.ts';

/** hot: PUBACK, PUBREC, PUBREL or PUBCOMP into the output. 3.x has no Reason Code. */
function append(connection: Connection, header: number, packetId: number, reasonCode: number): void {
  const { outbox } = connection;
  connection.traffic.packetsSent++;
  outbox.reserve(5);
  const { bytes } = outbox;
  const at = writeAck(bytes, outbox.at, header, packetId);
  if (reasonCode > 0 && connection.protocolVersion === 5) {
    bytes[outbox.at + 1] = 3;
    bytes[at] = reasonCode;
    outbox.at = at + 1;
  } else outbox.at = at;
}

/** PUBREL, in answer to PUBREC or again after a resume. */
export function writePubrel(connection: Connection, packetId: number, reasonCode: number): void {
  append(connection, Header.pubrel, packetId, reasonCode);
}

/** PUBCOMP, in answer to every PUBREL [MQTT-4.3.3-11]. */
export function writePubcomp(connection: Connection, packetId: number, reasonCode: number): void {
  append(connection, Header.pubcomp, packetId, reasonCode);
}

/** Acknowledges messages of the server on the present connection; without one it writes nothing. */
export class AckWriter implements Answers {
  connection: Connection | undefined = undefined;

  puback(packetId: number, reasonCode: number): void {
    if (this.connection !== undefined) append(this.connection, Header.puback, packetId, reasonCode);
  }

  pubrec(packetId: number, reasonCode: number): 'written' {
    if (this.connection !== undefined) append(this.connection, Header.pubrec, packetId, reasonCode);
    return 'written';
  }
}
