// Builds that are broken on purpose, in a copy of the checkout: a check that stays green there is void.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, chmodSync, realpathSync, symlinkSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

type Patch = { file: string; from: string; to: string };

export type Sabotage = {
  name: string;
  title: string;
  /** Each found exactly once. */
  patches: Patch[];
  /** The experiments that must notice. */
  experiments: string[];
};

export const SABOTAGES: readonly Sabotage[] = [
  {
    name: 'no-inbox',
    title: 'events are handled as often as they come',
    patches: [
      { file: 'chassis/src/events/inbox.ts', from: 'tx.query(sql`INSERT INTO inbox (event_id) SELECT unnest(${idsOf(byId)}::uuid[])`)', to: 'tx.query(sql`SELECT unnest(${idsOf(byId)}::uuid[])`)' },
      {
        file: 'chassis/src/events/inbox.ts',
        from: 'INSERT INTO inbox (event_id) SELECT unnest(${idsOf(byId)}::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id',
        to: 'SELECT unnest(${idsOf(byId)}::uuid[]) AS event_id',
      },
    ],
    experiments: ['E6'],
  },
  {
    name: 'random-key',
    title: 'charged in one call, with a new idempotency key each time, and no look before the next',
    // Each of the three is a second line behind the others: an intent that is stored before it is confirmed can't be charged twice,
    // whatever its key; a look finds what a lost answer has done; and a webhook (as in E14) tells it.
    patches: [
      { file: 'services/payment/src/stripe.ts', from: 'const once = { idempotencyKey: idempotencyKey(step, payment) };', to: 'const once = { idempotencyKey: crypto.randomUUID() }; void idempotencyKey;' },
      { file: 'services/payment/src/stripe.ts', from: "automatic_payment_methods: { enabled: true, allow_redirects: 'never' },", to: "automatic_payment_methods: { enabled: true, allow_redirects: 'never' }, ...(payment.paymentMethod && { confirm: true, payment_method: payment.paymentMethod })," },
      { file: 'services/payment/src/payment.ts', from: "if (payment.asking) return { do: 'find' };", to: '' },
      { file: 'services/payment/src/payment.ts', from: "if (payment.asking) return { do: 'look_up' };", to: '' },
    ],
    experiments: ['E19'],
  },
  {
    name: 'early-ack',
    title: 'events are acknowledged before their effect is committed',
    patches: [{
      file: 'chassis/src/events/consumer.ts',
      from: 'const events = readable.map(({ event }) => event);',
      to: 'const events = readable.map(({ event }) => event); readable.forEach(({ message }) => message.ack());',
    }],
    experiments: ['E4', 'E2'],
  },
  {
    name: 'unlocked-stock',
    title: 'stock is read, changed and written without a lock',
    patches: [{ file: 'services/inventory/src/store.ts', from: 'FROM stock WHERE sku = ANY(${skus}) ORDER BY sku FOR UPDATE`', to: 'FROM stock WHERE sku = ANY(${skus}) ORDER BY sku`' }],
    experiments: ['E6'],
  },
  {
    name: 'lazy-sync',
    title: 'the broker acknowledges before it has written to the disk',
    patches: [{ file: 'local/src/nats.ts', from: "durable ? ', sync_interval: always' : ''", to: "durable ? '' : ''" }],
    experiments: ['E8'],
  },
  {
    name: 'no-owner-check',
    title: 'an order is shown to whoever knows its id',
    patches: [{ file: 'services/order/src/access.ts', from: "if (order === undefined || (caller.role === 'buyer' && order.customer.customerId !== caller.subject)) {", to: 'if (order === undefined) {' }],
    experiments: ['A6'],
  },
  {
    name: 'no-role-check',
    title: 'a token of any role may call everything',
    patches: [{ file: 'chassis/src/api/access.ts', from: 'if (!roles.includes(caller.role)) throw', to: 'if (roles.length === 0) throw' }],
    experiments: ['A6'],
  },
  {
    name: 'unsigned-tokens',
    title: 'what a token says is believed, signature or not',
    patches: [{ file: 'chassis/src/api/auth.ts', from: 'const { payload } = await jwtVerify(token, keys, ', to: "const { payload } = { payload: JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) }; if (keys === undefined) await jwtVerify(token, keys, " }],
    experiments: ['A7'],
  },
  {
    name: 'unsigned-webhooks',
    title: 'what a webhook says is believed, signature or not',
    patches: [{ file: 'services/payment/src/stripe.ts', from: 'const event = stripe.webhooks.constructEvent(Buffer.from(body), signature, options.STRIPE_WEBHOOK_SECRET, MAX_WEBHOOK_SKEW_S);', to: 'const event = JSON.parse(Buffer.from(body).toString()); void MAX_WEBHOOK_SKEW_S;' }],
    experiments: ['A8'],
  },
  {
    name: 'any-refund',
    title: 'an order may ask for any amount back',
    patches: [{ file: 'services/order/src/order.ts', from: 'if (amount <= 0n || amount > refundable(order)) throw', to: 'if (amount <= 0n) throw' }],
    experiments: ['A9'],
  },
  {
    name: 'raw-mails',
    title: 'mails are HTML as people typed it',
    patches: [{ file: 'services/notification/src/templates/render.ts', from: "return handlebars.compile(file('mail.html.hbs'));", to: "return handlebars.compile(file('mail.html.hbs'), { noEscape: true });" }],
    experiments: ['A11'],
  },
  {
    name: 'open-broker',
    title: 'a service may say everything',
    patches: [{ file: 'local/src/nats-permissions.ts', from: 'publish: { allow: [...own, ...heard,', to: "publish: { allow: ['>', ...own, ...heard," }],
    experiments: ['A12'],
  },
  {
    name: 'owning-services',
    title: 'a service has its own tables',
    patches: [{ file: 'local/src/databases.ts', from: 'const owner = `${role}_owner`;', to: 'const owner = role;' }],
    experiments: ['A13'],
  },
  {
    name: 'any-origin',
    title: 'pages of every origin may call',
    patches: [{ file: 'edge/src/cors.ts', from: 'const allowed = isAllowed(origins, origin);', to: 'const allowed = true;' }],
    experiments: ['A15'],
  },
  {
    name: 'unshared-probes',
    title: 'everybody who asks whether a process is ready is looked for alone',
    patches: [{ file: 'chassis/src/server/probes.ts', from: "const look = sharedLook('/readyz', READY_PACE_MS, ready);", to: 'const look = ready; void READY_PACE_MS;' }],
    experiments: ['A16'],
  },
  {
    name: 'unpaced-watch',
    title: 'all who watch a level are told of every change',
    patches: [{ file: 'services/inventory/src/watch-stock.ts', from: 'if (fresh.length > 0 && pauseMs > 0)', to: 'if (fresh.length > 0 && pauseMs === Infinity)' }],
    experiments: ['A17'],
  },
  {
    name: 'chatty-log',
    title: 'a log line tells who bought',
    patches: [{ file: 'services/order/src/rpc.ts', from: 'placeOrder: async (request, context) => ({', to: "placeOrder: async (request, context) => (console.log(JSON.stringify({ level: 'info', msg: `an order of ${request.customer?.email}` })), {" }],
    experiments: ['I18'],
  },
];

const ROOT = path.resolve(import.meta.dirname, '../../..');
const NOT_COPIED = new Set(['node_modules', '.git', '.millrace', 'docs', 'web', 'bench']);

/** Copies the checkout without its dependencies, which are linked, and applies the patches. Answers the copy's folder. */
export function sabotagedCopy({ name, patches }: Sabotage): string {
  const root = mkdtempSync(path.join(tmpdir(), `millrace-sabotage-${name}-`));
  chmodSync(root, 0o755);
  for (const entry of readdirSync(ROOT)) {
    if (!NOT_COPIED.has(entry)) cpSync(path.join(ROOT, entry), path.join(root, entry), { recursive: true, filter: (from) => path.basename(from) !== '.git', verbatimSymlinks: true });
  }
  linkDependencies(root);
  for (const patch of patches) {
    const target = path.join(root, patch.file);
    writeFileSync(target, patched(readFileSync(target, 'utf8'), patch, name));
  }
  return root;
}

/** Throws unless the text is there exactly once: the code has moved on, and the sabotage must follow. */
export function patched(text: string, { file, from, to }: Patch, name: string): string {
  if (text.split(from).length !== 2) throw new Error(`sabotage ${name}: ${file} no longer has exactly one "${from}"`);
  return text.replace(from, () => to);
}

// Workspaces must be the copy's own, everything else is the original's.
function linkDependencies(root: string): void {
  const [from, to] = [path.join(ROOT, 'node_modules'), path.join(root, 'node_modules')];
  mkdirSync(path.join(to, '@millrace'), { recursive: true });
  for (const entry of readdirSync(from)) {
    if (entry !== '@millrace' && entry !== '.cache') symlinkSync(path.join(from, entry), path.join(to, entry));
  }
  for (const entry of readdirSync(path.join(from, '@millrace'))) {
    const real = realpathSync(path.join(from, '@millrace', entry));
    const own = path.join(root, path.relative(ROOT, real));
    symlinkSync(existsSync(own) ? own : real, path.join(to, '@millrace', entry));
  }
}
