// Hints off the broker: every instance hears them at once, none is kept for one that is away. For what may be forgotten, never for what must be done.

import type { DescMessage } from '@bufbuild/protobuf';
import type { NatsConnection } from '@nats-io/transport-node';
import { aggregateOf, eventKind } from './contracts.ts';

export type Overhearing = {
  schemas: DescMessage[];
  /** Something happened to this aggregate. */
  hear: (aggregateId: string) => void;
  /** Hints may have been missed: from here on anything may have happened. */
  lost: () => void;
};

export function overhear(connection: NatsConnection, { schemas, hear, lost }: Overhearing): void {
  for (const schema of schemas) connection.subscribe(`${eventKind(schema).subject}.*`, { callback: (error, message) => (error ? lost() : hear(aggregateOf(message.subject))) });
  lost();
  void (async () => {
    for await (const { type } of connection.status()) if (type === 'disconnect' || type === 'reconnect' || type === 'slowConsumer') lost();
    lost();
  })();
}
