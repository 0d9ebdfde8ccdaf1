// The connection to NATS. It outlives any outage: the process starts and goes on without a broker, and events wait in the outbox.

import { setTimeout } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { backoff } from '../flow/backoff.ts';
import type { Log } from '../telemetry/log.ts';

/** Pause between tries to reconnect. */
const RECONNECT_MS = 500;
/** A server that answers no ping for this long twice is gone, although its socket may still be open. */
const PING_MS = 10_000;

/** Longest pause before the first connection, so that a start doesn't wait for it. */
const MAX_CONNECT_PAUSE_MS = 2_000;

export type BrokerAddress = { servers: string; user?: string; pass?: string };

/** Splits `nats://user:password@host:port`; the client library takes credentials only apart. */
export function brokerAddress(url: string): BrokerAddress {
  const parsed = new URL(url);
  const address: BrokerAddress = { servers: `${parsed.protocol}//${parsed.host}` };
  if (parsed.username !== '') {
    address.user = decodeURIComponent(parsed.username);
    address.pass = decodeURIComponent(parsed.password);
  }
  return address;
}

/**
 * Connects as a service; while the broker is away it keeps trying until the signal, and then answers undefined.
 * Inboxes are `_INBOX_<service>.>`, the only ones this user may subscribe to.
 */
export async function connectBroker(url: string, service: string, log: Log, signal: AbortSignal): Promise<NatsConnection | undefined> {
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      const connection = await connect({
        ...brokerAddress(url),
        name: service,
        inboxPrefix: `_INBOX_${service}`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RECONNECT_MS,
        pingInterval: PING_MS,
        maxPingOut: 2,
        ignoreAuthErrorAbort: true,
        // A stack for every request costs more than the request.
        noAsyncTraces: true,
      });
      void logStatus(connection, log);
      return connection;
    } catch (error) {
      log.warn({ err: error, attempt }, 'the broker is away');
      await setTimeout(backoff(attempt, { maxMs: MAX_CONNECT_PAUSE_MS }), undefined, { signal }).catch(() => {});
    }
  }
  return undefined;
}

/** The signal of the present connection: aborted from its loss, and with it of every answer that was still to come, until there is another. */
export function lossOf(connection: NatsConnection): () => AbortSignal {
  let present = new AbortController();
  const watch = async (): Promise<void> => {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect') present.abort();
      if (type === 'reconnect') present = new AbortController();
    }
  };
  void watch();
  return () => present.signal;
}

async function logStatus(connection: NatsConnection, log: Log): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect' || status.type === 'error') log.warn({ broker: status }, 'the broker is away');
    if (status.type === 'reconnect') log.info({ server: status.server }, 'the broker is back');
  }
}
