// @grpc/grpc-js, the other gRPC of this language, with nothing of ours but the bytes that reflection hands out.
import * as grpc from '@grpc/grpc-js';
import { type DescMethod, create, createFileRegistry, fromBinary, fromJson, toBinary, toJson, type JsonValue } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { ErrorInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';
import { ServerReflection, ServerReflectionRequestSchema, ServerReflectionResponseSchema } from '@millrace/gen/grpc/reflection/v1/reflection_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type House, SKU, openHouse, until } from './stubs.ts';

let house: House;
let client: grpc.Client;
let methods: Map<string, DescMethod>;

beforeAll(async () => {
  house = await openHouse();
  client = new grpc.Client(new URL(house.url).host, grpc.credentials.createInsecure());
  methods = await reflect(['millrace.product.v1.ProductService', 'millrace.inventory.v1.InventoryService']);
});
afterAll(async () => {
  client.close();
  await house[Symbol.asyncDispose]();
});

test('reflection lists every service of the house', async () => {
  const [answer] = await ask([{ case: 'listServices', value: '' }]);
  const listed = answer?.case === 'listServicesResponse' ? answer.value.service.map(({ name }) => name) : [];
  for (const word of ['order.v1.OrderService', 'product.v1.ProductService', 'inventory.v1.InventoryService', 'payment.v1.PaymentService', 'notification.v1.NotificationService', 'ops.v1.DeadLetterService']) {
    expect(listed).toContain(`millrace.${word}`);
  }
});

test('a unary call brings its answer and its trailers', async () => {
  const { answer, trailers } = await unary('ProductService.GetProduct', { sku: 'mug' });
  expect(answer).toMatchObject({ product: { sku: 'mug', price: { minorUnits: '1999' } } });
  expect(trailers.get('x-stub-trailer')).toEqual(['trailer']);
});

test("a service's error arrives with its details", async () => {
  const error = await unary('ProductService.GetProduct', { sku: SKU.unknown }).then(() => undefined, (cause: grpc.ServiceError) => cause);
  expect([error?.code, error?.details]).toEqual([grpc.status.NOT_FOUND, 'there is no such product']);
  expect(reasonOf(error)).toBe('NOT_FOUND');
});

test.each([
  ['no token', new grpc.Metadata(), grpc.status.UNAUTHENTICATED],
  ['a wrong token', metadata({ authorization: 'Bearer a.b.c' }), grpc.status.UNAUTHENTICATED],
])('%s is refused without a body', async (_, sent, code) => {
  const error = await unary('ProductService.GetProduct', { sku: 'mug' }, sent).then(() => undefined, (cause: grpc.ServiceError) => cause);
  expect(error?.code).toBe(code);
  expect(reasonOf(error)).toBe('UNAUTHENTICATED');
});

test('a server stream brings every message; its error comes after them', async () => {
  const method = methodOf('InventoryService.WatchStock');
  const call = client.makeServerStreamRequest(pathOf(method), encoder(method), decoder(method), { skus: ['a', 'b', SKU.failsLater] }, signedIn());
  const got: unknown[] = [];
  const error = await new Promise<grpc.ServiceError>((resolve, reject) => {
    call.on('data', (message: { stockLevel: { sku: string } }) => got.push(message.stockLevel.sku));
    call.once('error', (cause) => resolve(cause as grpc.ServiceError));
    call.once('end', () => reject(new Error('it ended well')));
  });
  expect(got).toEqual(['a', 'b', SKU.failsLater]);
  expect([error.code, reasonOf(error)]).toEqual([grpc.status.FAILED_PRECONDITION, 'OUT_OF_STOCK']);
});

test('a client stream is counted to its last message', async () => {
  const method = methodOf('ProductService.ImportProducts');
  const answer = await new Promise<JsonValue>((resolve, reject) => {
    const call = client.makeClientStreamRequest(pathOf(method), encoder(method), decoder(method), signedIn(), (error, value) => (error ? reject(error) : resolve(value ?? null)));
    for (let i = 0; i < 1_000; i += 1) call.write({ product: { sku: `sku-${i}`, name: 'A mug' } });
    call.end();
  });
  expect(answer).toEqual({ created: 1_000 });
});

test('a cancelled stream ends at the service too', async () => {
  house.ended.length = 0;
  const method = methodOf('InventoryService.WatchStock');
  const call = client.makeServerStreamRequest(pathOf(method), encoder(method), decoder(method), { skus: [SKU.slow] }, signedIn());
  call.on('error', () => {});
  call.once('data', () => call.cancel());
  await until(() => house.ended.includes('watch'), 'the service saw the end');
  expect(house.ended).toEqual(['watch']);
});

function unary(name: string, request: JsonValue, sent = signedIn()): Promise<{ answer: JsonValue; trailers: grpc.Metadata }> {
  const method = methodOf(name);
  return new Promise((resolve, reject) => {
    let answer: JsonValue;
    const call = client.makeUnaryRequest(pathOf(method), encoder(method), decoder(method), request, sent, (error, value) => (error ? reject(error) : (answer = value ?? null)));
    call.on('status', (status) => { if (status.code === grpc.status.OK) resolve({ answer, trailers: status.metadata }); });
  });
}

function methodOf(name: string): DescMethod {
  const method = methods.get(name);
  if (!method) throw new Error(`reflection does not know ${name}`);
  return method;
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encoder(method: DescMethod) {
  return (value: JsonValue) => Buffer.from(toBinary(method.input, fromJson(method.input, value)));
}

function decoder(method: DescMethod) {
  return (bytes: Buffer) => toJson(method.output, fromBinary(method.output, bytes));
}

async function reflect(services: string[]): Promise<Map<string, DescMethod>> {
  const answers = await ask(services.map((value) => ({ case: 'fileContainingSymbol' as const, value })));
  const file = new Map(answers.flatMap((answer) => (answer?.case === 'fileDescriptorResponse' ? answer.value.fileDescriptorProto : [])).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)).map((proto) => [proto.name, proto]));
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: sorted([...file.values()]) }));
  const found = services.flatMap((name) => registry.getService(name)?.methods ?? []);
  return new Map(found.map((method) => [`${method.parent.name}.${method.name}`, method]));
}

// A registry wants dependencies first.
function sorted<F extends { name: string; dependency: string[] }>(files: F[]): F[] {
  const done = new Set<F>();
  const visit = (file: F) => {
    if (done.has(file)) return;
    for (const name of file.dependency) for (const other of files) if (other.name === name) visit(other);
    done.add(file);
  };
  files.forEach(visit);
  return [...done];
}

type Question = { case: 'listServices' | 'fileContainingSymbol'; value: string };

async function ask(questions: Question[]) {
  const path = `/${ServerReflection.typeName}/ServerReflectionInfo`;
  const call = client.makeBidiStreamRequest(path, (question: Question) => Buffer.from(toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, { messageRequest: question }))), (bytes) => fromBinary(ServerReflectionResponseSchema, bytes));
  for (const question of questions) call.write(question);
  call.end();
  const answers = [];
  for await (const answer of call) answers.push((answer as ReturnType<typeof fromBinary<typeof ServerReflectionResponseSchema>>).messageResponse);
  return answers;
}

function signedIn(): grpc.Metadata {
  return metadata({ authorization: `Bearer ${house.token}` });
}

function metadata(headers: Record<string, string>): grpc.Metadata {
  const made = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) made.set(name, value);
  return made;
}

// google.rpc.Status: its third field holds the details, each an Any.
function reasonOf(error: grpc.ServiceError | undefined): string | undefined {
  const [bytes] = error?.metadata.get('grpc-status-details-bin') ?? [];
  const marker = Buffer.from('type.googleapis.com/google.rpc.ErrorInfo');
  const at = Buffer.isBuffer(bytes) ? bytes.indexOf(marker) : -1;
  if (!Buffer.isBuffer(bytes) || at < 0) return undefined;
  const length = bytes[at + marker.length + 1] ?? 0;
  return fromBinary(ErrorInfoSchema, bytes.subarray(at + marker.length + 2, at + marker.length + 2 + length)).reason;
}
