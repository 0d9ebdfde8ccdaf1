// Calls by descriptor alone, in any of the three protocols, and what came back, in words.
import type { DescMessage, DescMethod, Message } from '@bufbuild/protobuf';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { ErrorInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';

export const PROTOCOLS = ['connect', 'grpc', 'grpc-web'] as const;
export type Protocol = (typeof PROTOCOLS)[number];
export type CallOptions = { token?: string | undefined; headers?: Record<string, string>; protocol?: Protocol };
/** `code` is "Ok" or a Connect code's name; `said` is all that an error told, without its code. */
export type Answer = { code: string; reason: string; said: string; messages: Message[]; ms: number };

const TIMEOUT_MS = 10_000;

const transports = new Map<string, Transport>();

/** Never throws what was answered. Of an endless stream the first message is enough. */
export async function call(url: string, method: DescMethod, request: Message, { token, headers = {}, protocol = 'connect' }: CallOptions = {}): Promise<Answer> {
  const began = performance.now();
  const answer = async (): Promise<Message[]> => {
    const all = { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
    const over = new AbortController();
    if (method.methodKind === 'unary') return [(await transportTo(url, protocol).unary(method as DescMethod & { methodKind: 'unary' }, over.signal, TIMEOUT_MS, all, request)).message];
    const { message: messages } = await transportTo(url, protocol).stream(method as DescMethod & { methodKind: 'server_streaming' }, over.signal, TIMEOUT_MS, all, once(request));
    for await (const message of messages) {
      over.abort();
      return [message];
    }
    return [];
  };
  try {
    return { code: 'Ok', reason: '', said: '', messages: await answer(), ms: performance.now() - began };
  } catch (error) {
    const { code, rawMessage, ...refusal } = ConnectError.from(error);
    const info = ConnectError.from(error).findDetails(ErrorInfoSchema)[0];
    return { code: Code[code] ?? String(code), reason: info?.reason ?? '', said: `${rawMessage} ${JSON.stringify(info?.metadata ?? {})} ${refusal.details.length} details`, messages: [], ms: performance.now() - began };
  }
}

function transportTo(baseUrl: string, protocol: Protocol): Transport {
  const key = `${protocol} ${baseUrl}`;
  let transport = transports.get(key);
  if (transport === undefined) {
    transport = protocol === 'connect' ? createConnectTransport({ baseUrl, httpVersion: '2' }) : protocol === 'grpc' ? createGrpcTransport({ baseUrl }) : createGrpcWebTransport({ baseUrl, httpVersion: '2' });
    transports.set(key, transport);
  }
  return transport;
}

async function* once(request: Message<DescMessage['typeName']>): AsyncGenerator<Message> {
  yield request;
}
