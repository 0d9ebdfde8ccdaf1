import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@millrace/gen/grpc/health/v1/health_pb.js';
import { ServerReflection } from '@millrace/gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ServerReflectionV1Alpha } from '@millrace/gen/grpc/reflection/v1alpha/reflection_pb.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { all, failure } from '../../test/callers.ts';
import { type Stub, startStub } from '../../test/stub-server.ts';

const BUF = path.resolve(import.meta.dirname, '../../../node_modules/.bin/buf');
const SERVICES = ['millrace.product.v1.ProductService', 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];

let server: Stub;
beforeAll(async () => {
  server = await startStub();
});
afterAll(async () => server.stop(0));

describe.each([
  ['v1', ServerReflection],
  ['v1alpha', ServerReflectionV1Alpha as unknown as typeof ServerReflection],
])('reflection %s', (_version, service) => {
  const ask = async (...questions: Question[]) => {
    const client = createClient(service, createGrpcTransport({ baseUrl: server.url }));
    async function* requests() {
      for (const messageRequest of questions) yield { host: 'here', messageRequest };
    }
    const answers = await all(client.serverReflectionInfo(requests()));
    return answers.map(({ messageResponse, validHost }) => ({ ...messageResponse, validHost }));
  };

  it('lists the services, without a token', async () => {
    const [answer] = await ask({ case: 'listServices', value: '' });
    expect(answer).toMatchObject({ case: 'listServicesResponse', validHost: 'here', value: { service: SERVICES.map((name) => ({ name })) } });
  });

  it.each<[string, Question, string]>([
    ['a service', { case: 'fileContainingSymbol', value: 'millrace.product.v1.ProductService' }, 'millrace/product/v1/product.proto'],
    ['a method', { case: 'fileContainingSymbol', value: 'millrace.product.v1.ProductService.GetProduct' }, 'millrace/product/v1/product.proto'],
    ['a message', { case: 'fileContainingSymbol', value: 'millrace.type.v1.Money' }, 'millrace/type/v1/money.proto'],
    ['a field', { case: 'fileContainingSymbol', value: 'millrace.type.v1.Money.currency_code' }, 'millrace/type/v1/money.proto'],
    ['an enum value, which lives beside its enum', { case: 'fileContainingSymbol', value: 'millrace.product.v1.PRODUCT_STATE_ACTIVE' }, 'millrace/product/v1/product.proto'],
    ['a file name', { case: 'fileByFilename', value: 'millrace/type/v1/access.proto' }, 'millrace/type/v1/access.proto'],
    ['an extension', { case: 'fileContainingExtension', value: { containingType: 'google.protobuf.MethodOptions', extensionNumber: 50102 } }, 'millrace/type/v1/access.proto'],
    ['an error detail', { case: 'fileContainingSymbol', value: 'google.rpc.ErrorInfo' }, 'google/rpc/error_details.proto'],
  ])('finds the file of %s, with all that it imports', async (_title, question, name) => {
    const [answer] = await ask(question);
    const bytes = answer?.case === 'fileDescriptorResponse' ? answer.value.fileDescriptorProto : [];
    const files = bytes.map((file) => fromBinary(FileDescriptorProtoSchema, file));
    expect(files[0]?.name).toBe(name);
    const names = files.map((file) => file.name);
    for (const file of files) expect(names).toEqual(expect.arrayContaining(file.dependency));
  });

  it('numbers the extensions of a message', async () => {
    const [answer] = await ask({ case: 'allExtensionNumbersOfType', value: 'google.protobuf.MethodOptions' });
    expect(answer).toMatchObject({ case: 'allExtensionNumbersResponse', value: { baseTypeName: 'google.protobuf.MethodOptions', extensionNumber: [50102] } });
  });

  it('says what it does not know, and goes on', async () => {
    const answers = await ask(
      { case: 'fileContainingSymbol', value: 'no.such.Thing' },
      { case: 'fileByFilename', value: 'no.proto' },
      { case: 'allExtensionNumbersOfType', value: 'no.Message' },
      { case: 'fileContainingExtension', value: { containingType: 'google.protobuf.MethodOptions', extensionNumber: 1 } },
      { case: undefined },
    );
    expect(answers.map((answer) => answer.case === 'errorResponse' && answer.value.errorCode)).toEqual([Code.NotFound, Code.NotFound, Code.NotFound, Code.NotFound, Code.InvalidArgument]);
  });
});

describe('buf curl without a schema', () => {
  it.each([
    ['grpc over h2c', ['--protocol', 'grpc', '--http2-prior-knowledge']],
    ['grpcweb over h2c', ['--protocol', 'grpcweb', '--http2-prior-knowledge']],
    ['connect over h2c', ['--protocol', 'connect', '--http2-prior-knowledge']],
    ['v1alpha', ['--protocol', 'grpc', '--http2-prior-knowledge', '--reflect-protocol', 'grpc-v1alpha']],
  ])('works by %s', async (_title, flags) => {
    const { stdout } = await buf('curl', ...flags, '-H', `authorization: Bearer ${server.token}`, '-d', '{"sku":"MUG"}', `${server.url}/millrace.product.v1.ProductService/GetProduct`);
    expect(JSON.parse(stdout)).toEqual({ product: { sku: 'MUG', name: 'product MUG' } });
  });

  it('lists services and methods', async () => {
    expect((await buf('curl', '--http2-prior-knowledge', '--list-services', server.url)).stdout.trim().split('\n').sort()).toEqual([...SERVICES].sort());
    expect((await buf('curl', '--http2-prior-knowledge', '--list-methods', server.url)).stdout).toContain('millrace.product.v1.ProductService/ImportProducts');
  });

  it('shows the reason of an error', async () => {
    const failed = buf('curl', '--http2-prior-knowledge', '-d', '{"sku":"MUG"}', `${server.url}/millrace.product.v1.ProductService/GetProduct`);
    await expect(failed).rejects.toMatchObject({ stderr: expect.stringMatching(/"reason": "UNAUTHENTICATED"/) });
  });
});

describe('health', () => {
  it('answers for the server and each service, without a token', async () => {
    const client = createClient(Health, createGrpcTransport({ baseUrl: server.url }));
    expect((await client.check({})).status).toBe(Status.SERVING);
    expect((await client.check({ service: SERVICES[0] ?? '' })).status).toBe(Status.SERVING);
    expect((await failure(client.check({ service: 'no.such.Service' }))).code).toBe(Code.NotFound);
    expect((await client.list({})).statuses).toMatchObject({ '': { status: Status.SERVING }, [SERVICES[0] ?? '']: { status: Status.SERVING } });
  });

  it('watches a service, also one that comes later', async () => {
    const client = createClient(Health, createGrpcTransport({ baseUrl: server.url }));
    const seen: Status[] = [];
    for await (const { status } of client.watch({ service: 'later' })) {
      seen.push(status);
      if (seen.length === 1) server.health.set('later', true);
      if (seen.length === 2) server.health.set('later', false);
      if (seen.length === 3) break;
    }
    expect(seen).toEqual([Status.SERVICE_UNKNOWN, Status.SERVING, Status.NOT_SERVING]);
  });
});

async function buf(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(BUF, args);
}

type Question =
  | { case: 'listServices' | 'fileContainingSymbol' | 'fileByFilename' | 'allExtensionNumbersOfType'; value: string }
  | { case: 'fileContainingExtension'; value: { containingType: string; extensionNumber: number } }
  | { case: undefined };

it('answers a tool at its start, and nobody who never stops asking', async () => {
  await using busy = await startStub();
  const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: busy.url }));
  async function* forever() {
    for (;;) yield { messageRequest: { case: 'fileContainingSymbol' as const, value: 'millrace.product.v1.ProductService' } };
  }
  let answers = 0;
  const listen = async (): Promise<void> => {
    for await (const _ of client.serverReflectionInfo(forever())) answers += 1;
  };
  const refused = await failure(listen());
  expect(refused).toMatchObject({ code: Code.ResourceExhausted });
  expect(answers).toBeGreaterThanOrEqual(200);
});
