// Texts that would like to be something else: SQL, markup, templates, headers, log lines, commands. In every field of every RPC.
import { existsSync } from 'node:fs';
import { getOption } from '@bufbuild/protobuf';
import { Role, access } from '@millrace/gen/millrace/type/v1/access_pb.js';
import { SERVICES as CONTRACTS } from '../../../edge/src/routes.ts';
import { SERVICES } from '../../../local/src/nats-permissions.ts';
import { attack } from '../attack.ts';
import { call } from '../buyers/call.ts';
import { logsOf } from '../checks/leaks.ts';
import { sampleOf, textFieldsOf } from '../checks/samples.ts';
import type { Tally } from '../checks/tally.ts';
import type { Context } from '../experiment.ts';
import { query } from '../system/databases.ts';
import type { System } from '../system/system.ts';
import { compareTwins, type Twins, placeTwins } from './twins.ts';

const FOREIGN_FILE = '/tmp/millrace-a11';
const FORGED = 'forged by A11';
/** Each can be held by a text field; what must be one line is made one. */
export const TEXTS = [
  "'; DROP TABLE orders; --", "' OR '1'='1", "\\'; SELECT pg_sleep(20); --", '"; DELETE FROM stock; --', '$1', "1); SELECT pg_terminate_backend(pid) FROM pg_stat_activity; --", '%_%', `$(touch ${FOREIGN_FILE})`, `\`touch ${FOREIGN_FILE}\``, `| touch ${FOREIGN_FILE}`,
  '{{constructor.constructor "return process"}}', '{{#with this}}{{lookup . "shop"}}{{/with}}', '${7*7} #{7*7} <%= 7*7 %>', '<script>document.title = 1</script>', '<img src=x onerror="document.title = 1">', '"><svg/onload=alert(1)>', '&lt;b&gt; &amp; &#39;',
  'Eve\r\nBcc: evil@example.com\r\n\r\nhello', 'Eve\nSubject: evil', 'Eve\u2028Bcc: evil@example.com', `x"}\n{"level":"error","service":"order","msg":"${FORGED}"}`, '\u001B[2J\u001B[31mred', '\u202Elive', '__proto__', 'constructor', '${jndi:ldap://127.0.0.1/a}', '../../../../etc/passwd', '%s%n%x', '=1+1', 'O\u0308\uFDFA\u{1F4A9}',
];
/** No column can hold it: it must be refused, not stumbled over. */
const NUL = 'a\0b';
const AT_ONCE = 8;
/** A sleep that got through would take longer. */
const MAX_MS = 8_000;
/** What a caller may be told about a strange text; all else is a fault of ours. */
const ANSWERS: readonly string[] = ['Ok', 'InvalidArgument', 'NotFound', 'FailedPrecondition', 'AlreadyExists', 'Aborted', 'PermissionDenied', 'ResourceExhausted'];

const twins = new WeakMap<Context, Twins[]>();
const tables = new WeakMap<Context, string>();
let number = 0;

export const A11 = attack({
  id: 'A11',
  title: 'SQL, markup, templates, headers and log lines in every text of every RPC',
  tries: 'texts',
  async prepare(context) {
    const { admin, name } = context;
    await admin.products.createProduct({ product: { sku: target(name), name: 'A11', price: { currencyCode: 'EUR', minorUnits: 100n } }, initialStock: 1_000 });
    tables.set(context, await tableNames(context.system));
    twins.set(context, await placeTwins(context, TEXTS));
  },
  async round({ system: { runtime }, random, name }, tries) {
    const fields = CONTRACTS.flatMap(({ methods }) => methods).flatMap((method) => textFieldsOf(method.input).map((field) => ({ method, field })));
    const queue = random.shuffled(fields).values();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const { method, field } of queue) {
        number += 1;
        const makes = method.name === 'CreateProduct' || method.name === 'ImportProducts';
        const request = sampleOf(method.input, { request_id: `a11-${number}`, customer_id: `a11-${number}`, sku: makes ? `${name}-n${number}`.slice(-64) : target(name), order_id: `ord_a11_${number}` });
        const text = random.chance(0.05) ? NUL : random.pick(TEXTS);
        field.set(request, text);
        const token = getOption(method, access).roles.includes(Role.SERVICE) ? runtime.tokens.service : runtime.tokens.admin;
        const { code, ms } = await call(runtime.edge, method, request, { token });
        tries.look(`${method.name} with ${JSON.stringify(text)} as ${field.path}`, !ANSWERS.includes(code) ? `answered ${code}` : ms > MAX_MS ? `took ${ms.toFixed(0)} ms` : undefined);
      }
    }));
  },
  async after(context, tries) {
    await compareTwins(context, twins.get(context) ?? [], tries);
    const { system } = context;
    tries.look('the tables', (await tableNames(system)) === tables.get(context) ? undefined : 'are not what they were');
    tries.look('commands', existsSync(FOREIGN_FILE) ? `made ${FOREIGN_FILE}` : undefined);
    wholeLines(system, tries);
  },
});

const target = (name: string): string => `${name}-t`.slice(-64);

async function tableNames(system: System): Promise<string> {
  const names = await Promise.all(SERVICES.map(async (service) => query<{ name: string }>(system, service, "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")));
  return names.flat().map(({ name }) => name).join();
}

/** A log stays one JSON object a line, each of them said by the service itself. */
function wholeLines(system: System, tries: Tally): void {
  for (const [file, text] of logsOf(system)) {
    if (!['edge', ...SERVICES].includes(file.split('.')[0] ?? '')) continue;
    const broken = text.split('\n').filter(Boolean).find((line) => !isLine(line));
    tries.look(`the log ${file}`, broken === undefined ? undefined : `has a line ${broken.slice(0, 200)}`);
  }
}

function isLine(line: string): boolean {
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    return typeof level === 'string' && msg !== FORGED;
  } catch {
    return false;
  }
}
