// grpc.reflection v1 and v1alpha from the descriptors inside the generated code, so that curl-like tools need no schema.
import { type DescExtension, type DescFile, type DescService, type MessageInitShape, type Registry, createRegistry, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectRouter } from '@connectrpc/connect';
import { ErrorInfoSchema } from '@millrace/gen/google/rpc/error_details_pb.js';
import { ServerReflection as ReflectionV1, type ServerReflectionRequest, type ServerReflectionResponseSchema } from '@millrace/gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ReflectionV1Alpha, type ServerReflectionRequest as RequestV1Alpha, type ServerReflectionResponseSchema as ResponseV1AlphaSchema } from '@millrace/gen/grpc/reflection/v1alpha/reflection_pb.js';
import { refuse } from '../api/errors.ts';
import { leakyBucket } from '../flow/leaky-bucket.ts';

/** A tool asks a few dozen times when it starts. An answer may be 100 kB, packed: some milliseconds of the process that all callers come through, for a question that needs no token. */
const BURST = 200;
const PER_SECOND = 50;
const RETRY_AFTER_MS = 1_000;

export const REFLECTION_SERVICES: DescService[] = [ReflectionV1, ReflectionV1Alpha];

type Response = MessageInitShape<typeof ServerReflectionResponseSchema>;
type Answer = NonNullable<Response['messageResponse']>;
type Index = ReturnType<typeof createIndex>;

export function reflectionRoutes(router: ConnectRouter, services: readonly DescService[]): void {
  const index = createIndex([...services, ...REFLECTION_SERVICES]);
  const isTooMany = leakyBucket(BURST, PER_SECOND);
  const answer = (request: ServerReflectionRequest | RequestV1Alpha): Answer => {
    if (isTooMany()) throw refuse('RATE_LIMITED', 'the schema is asked for too often', {}, RETRY_AFTER_MS);
    return answerFrom(index, request);
  };
  // The same on the wire; only the types have other names.
  router.service(ReflectionV1, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) yield { validHost: request.host, originalRequest: request, messageResponse: answer(request) };
    },
  });
  router.service(ReflectionV1Alpha, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        const response = { validHost: request.host, originalRequest: request, messageResponse: answer(request) };
        yield response as MessageInitShape<typeof ResponseV1AlphaSchema>;
      }
    },
  });
}

function answerFrom(index: Index, { messageRequest: asked }: ServerReflectionRequest | RequestV1Alpha): Answer {
  switch (asked.case) {
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: index.services.map(({ typeName }) => ({ name: typeName })) } };
    case 'fileByFilename':
      return fileAnswer(index.files.get(asked.value), asked.value);
    case 'fileContainingSymbol':
      return fileAnswer(index.fileOfSymbol(asked.value), asked.value);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = asked.value;
      return fileAnswer(index.extensionsOf(containingType)?.find(({ number }) => number === extensionNumber)?.file, `${containingType} ${extensionNumber}`);
    }
    case 'allExtensionNumbersOfType': {
      const extensions = index.extensionsOf(asked.value);
      if (!extensions) return failure(Code.NotFound, `not found: ${asked.value}`);
      return { case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value, extensionNumber: extensions.map(({ number }) => number) } };
    }
    default:
      return failure(Code.InvalidArgument, 'message_request is not set');
  }
}

function fileAnswer(file: DescFile | undefined, what: string): Answer {
  if (!file) return failure(Code.NotFound, `not found: ${what}`);
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto: withDependencies([file]).map(bytesOf) } };
}

/** Encoded once: anybody may ask, as often as he likes. */
const encoded = new WeakMap<DescFile, Uint8Array>();

function bytesOf(file: DescFile): Uint8Array {
  const bytes = encoded.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
  encoded.set(file, bytes);
  return bytes;
}

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}

function createIndex(services: readonly DescService[]) {
  // Error details come as Any: with their file here, tools can show them.
  const roots = [...services.map(({ file }) => file), ErrorInfoSchema.file];
  const files = new Map(withDependencies(roots).map((file) => [`${file.name}.proto`, file]));
  const registry = createRegistry(...files.values());
  return {
    services,
    files,
    fileOfSymbol: (symbol: string) => (registry.get(symbol) ?? parentOf(registry, symbol))?.file,
    /** Undefined when there is no such message. */
    extensionsOf: (message: string) => (registry.getMessage(message) ? [...registry].filter((type): type is DescExtension => type.kind === 'extension' && type.extendee.typeName === message) : undefined),
  };
}

// Methods, fields, oneofs and enum values are symbols too, but not registered as types.
function parentOf(registry: Registry, symbol: string): { file: DescFile } | undefined {
  const dot = symbol.lastIndexOf('.');
  const scope = symbol.slice(0, Math.max(dot, 0));
  const name = symbol.slice(dot + 1);
  const named = (item: { name: string }): boolean => item.name === name;
  const parent = registry.get(scope);
  if (parent?.kind === 'service' && parent.methods.some(named)) return parent;
  if (parent?.kind === 'message' && (parent.fields.some(named) || parent.oneofs.some(named))) return parent;
  // An enum's values live beside the enum, not inside it.
  return [...registry].find((type) => type.kind === 'enum' && (type.parent?.typeName ?? type.file.proto.package) === scope && type.values.some(named));
}

function withDependencies(roots: readonly DescFile[]): DescFile[] {
  const found = new Set<DescFile>();
  const visit = (file: DescFile): void => {
    if (found.has(file)) return;
    found.add(file);
    file.dependencies.forEach(visit);
  };
  roots.forEach(visit);
  return [...found];
}
