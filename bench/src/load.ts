// How load is made: closed loops, where each client asks again when it has its answer, and open ones at a fixed rate.
import { setTimeout } from 'node:timers/promises';
import { Code, ConnectError, type Interceptor, type Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { type Histogram, createHistogram, record } from './histogram.ts';

/** What a load saw. `done` counts the answers that were good, within `ms`. */
export type Load = { done: number; ms: number; latencies: Histogram; refused: Record<string, number> };

/** HTTP/2 connections of the load client: as from a few back ends. */
const CONNECTIONS = 4;
const CALL_TIMEOUT_MS = 30_000;
/** Calls of an open loop that may be unanswered; a system that far behind is saturated, and what comes after counts as refused. */
const MAX_OUTSTANDING = 5_000;

/** Transports of one target; calls take them in turn. */
export function transports(url: string, token: string): Transport[] {
  const bearer: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
  return Array.from({ length: CONNECTIONS }, () => createConnectTransport({ baseUrl: url, httpVersion: '2', interceptors: [bearer], defaultTimeoutMs: CALL_TIMEOUT_MS, acceptCompression: [] }));
}

/** Each client has one call in flight; ends after `ms`, or after `calls` when that is given. */
export async function closedLoop({ clients, ms, calls = Infinity }: { clients: number; ms: number; calls?: number | undefined }, call: (n: number) => Promise<unknown>): Promise<Load> {
  const load = { done: 0, ms: 0, latencies: createHistogram(), refused: {} };
  const begun = performance.now();
  let next = 0;
  const client = async () => {
    while (performance.now() - begun < ms && next < calls) await timed(load, performance.now(), call, next++);
  };
  await Promise.all(Array.from({ length: clients }, client));
  load.ms = performance.now() - begun;
  return load;
}

/** One call every 1/rate seconds, whether the earlier ones are answered or not; a latency counts from the moment that was meant. */
export async function openLoop({ rate, ms }: { rate: number; ms: number }, call: (n: number) => Promise<unknown>): Promise<Load> {
  const load = { done: 0, ms: 0, latencies: createHistogram(), refused: {} as Record<string, number> };
  const begun = performance.now();
  const flying = new Set<Promise<void>>();
  let next = 0;
  while (performance.now() - begun < ms) {
    for (let due = begun + (next / rate) * 1_000; due <= performance.now(); due = begun + (next / rate) * 1_000) {
      if (flying.size >= MAX_OUTSTANDING) load.refused['not sent'] = (load.refused['not sent'] ?? 0) + 1;
      else {
        const flight: Promise<void> = timed(load, due, call, next).finally(() => flying.delete(flight));
        flying.add(flight);
      }
      next += 1;
    }
    await setTimeout(1);
  }
  load.ms = performance.now() - begun;
  await Promise.all(flying);
  return load;
}

async function timed(load: Load, from: number, call: (n: number) => Promise<unknown>, n: number): Promise<void> {
  try {
    await call(n);
    load.done += 1;
    record(load.latencies, performance.now() - from);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const code = Code[error.code];
    load.refused[code] = (load.refused[code] ?? 0) + 1;
  }
}
