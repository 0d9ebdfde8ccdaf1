// What a browser is allowed to do: calls from other origins, and scripts in what people typed.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { attack } from '../attack.ts';
import { ask } from '../buyers/ask.ts';
import { findChromium, visit } from '../buyers/chromium.ts';
import { clientsAt } from '../buyers/clients.ts';
import type { Tally } from '../checks/tally.ts';
import type { Context } from '../experiment.ts';
import type { Lengths } from '../form.ts';
import { ledger } from '../system/databases.ts';
import { until } from '../wait.ts';

const LIST = 'millrace.product.v1.ProductService/ListProducts';
const LISTED = ['http://localhost', 'http://localhost:5173', 'http://127.0.0.1', 'http://127.0.0.1:3000'];
const UNLISTED = [
  'https://evil.example', 'null', 'http://localhost.evil.example', 'http://evil.localhost', 'http://localhost:5173.evil.example', 'http://localhost:80@evil.example', 'http://localhost:', 'http://localhost:x', 'http://localhost:123456',
  'https://localhost', 'http://LOCALHOST', 'http://localhost/', 'http://127.0.0.1.evil.example', 'http://127.0.0.2', 'http://[::1]:3000', 'file://', 'http://localhost http://evil.example', '*', '',
];
const READY_MS = 60_000;
/** Mails that are opened in the browser, newest first. */
const OPENED: Lengths = { brief: 2, short: 6, full: 40 };
/** Of each order: received, and cancelled. */
const MAILS = 2;

/** Where scripts tell that they ran, and the mails that hold them. */
type Stage = { beacon: string; hits: string[]; server: Server; mails: string[] };

const stages = new WeakMap<Context, Stage>();
const chromium = findChromium();

export const A15 = attack({
  id: 'A15',
  title: 'calls from other origins, and scripts in names and texts',
  tries: chromium === undefined ? 'preflights and pages (no Chromium here: headers were read, nothing was rendered)' : 'preflights, pages and mails in Chromium',
  async prepare(context) {
    const { system: { runtime }, skus: [sku = ''], name } = context;
    const { orders } = clientsAt(runtime.edge, runtime.tokens.admin);
    const stage = await startBeacon();
    stages.set(context, stage);
    const ids = await Promise.all(scripts(stage.beacon).map(async (text, i) => {
      const { order } = await orders.placeOrder({ requestId: `a15-${i}-${name}`.slice(0, 64), customer: { customerId: 'a15', name: text, email: `a15-${i}@example.com` }, lines: [{ sku, quantity: 1 }], shippingAddress: { name: text, line1: text }, note: text });
      await orders.cancelOrder({ orderId: order?.orderId ?? '', reason: text, requestId: `a15-c${i}-${name}`.slice(0, 64) });
      return order?.orderId ?? '';
    }));
    stage.mails = await until('the mails', READY_MS, async () => {
      const mine = ((await ledger(context.system, 'postmark')) as unknown as { message_id: string; order_id: string }[]).filter(({ order_id }) => ids.includes(order_id));
      return mine.length >= MAILS * ids.length && mine.map(({ message_id }) => message_id);
    });
  },
  async round(context, tries) {
    await origins(context, tries);
    await policies(context, tries);
  },
  async after(context, tries) {
    const { server } = stageOf(context);
    try {
      if (chromium !== undefined) await render(chromium, context, tries);
    } finally {
      server.close();
    }
  },
});

async function origins({ system: { runtime: { edge, tokens } } }: Context, tries: Tally): Promise<void> {
  for (const origin of [...LISTED, ...UNLISTED]) {
    const listed = LISTED.includes(origin);
    const preflight = await ask(`${edge}/${LIST}`, 'OPTIONS', ['origin', origin, 'access-control-request-method', 'POST', 'access-control-request-headers', 'authorization,content-type']);
    const call = await ask(`${edge}/${LIST}`, 'POST', ['origin', origin, 'content-type', 'application/json', 'authorization', `Bearer ${tokens.buyer}`], '{"pageSize":1}');
    for (const [what, { status, headers }] of Object.entries({ preflight, call })) {
      const allowed = headers['access-control-allow-origin'];
      const wrong = allowed === (listed ? origin : undefined) && headers['access-control-allow-credentials'] === undefined ? undefined : `allows ${allowed}`;
      tries.look(`a ${what} from "${origin}"`, status === 0 ? 'was not answered' : wrong ?? (headers.vary?.includes('Origin') === true || origin === '' ? undefined : 'may be cached for other origins'));
    }
    tries.look(`the preflight's status for "${origin}"`, (preflight.status === 204) === listed ? undefined : `is ${preflight.status}`);
  }
}

/** Every page says what it may do, and that its type is not to be guessed. */
async function policies(context: Context, tries: Tally): Promise<void> {
  const { edge, sandbox } = context.system.runtime;
  const pages = [`${edge}/`, `${sandbox}/`, `${sandbox}/inbox/mail/${stageOf(context).mails[0]}`];
  for (const url of pages) {
    const { headers } = await ask(url, 'GET', []);
    const policy = String(headers['content-security-policy'] ?? '');
    tries.look(`the policy of ${url}`, policy.includes("default-src 'none'") ? undefined : `is "${policy}"`);
    tries.look(`the type of ${url}`, headers['x-content-type-options'] === 'nosniff' ? undefined : 'may be guessed');
  }
  for (const base of [edge, context.system.runtime.services.order]) {
    const reflected = await ask(`${base}/%3Cscript%3Ealert(1)%3C/script%3E<script>alert(1)</script>`, 'GET', []);
    const html = reflected.headers['content-type']?.includes('html') ?? false;
    tries.look(`an unknown page at ${base}`, html || reflected.body.includes('<script>') ? `reflects its address: ${reflected.body.slice(0, 100)}` : undefined);
  }
}

/** Nothing that is not the page's own may run. A page without any defence shows that it would be noticed. */
async function render(browser: string, context: Context, tries: Tally): Promise<void> {
  const { edge, sandbox } = context.system.runtime;
  const { beacon, hits, mails } = stageOf(context);
  await visit(browser, `${beacon}/undefended`);
  tries.look('scripts on a page without defence', hits.length > 0 ? undefined : 'were not noticed');
  const opened = context.random.shuffled(mails).slice(0, context.by(OPENED)).map((id) => `${sandbox}/inbox/mail/${id}`);
  for (const url of [`${edge}/`, `${edge}/${scripts(beacon)[0]}`, `${sandbox}/`, ...opened]) {
    hits.length = 0;
    const page = await visit(browser, url);
    tries.look(`${url} in the browser`, !page.includes('<body') ? 'did not load' : hits.length > 0 ? `asked for ${hits[0]}` : undefined);
  }
}

/** Each, if it were taken for markup, would ask the beacon for something. */
function scripts(beacon: string): string[] {
  return [
    `<script src="${beacon}/ran?script"></script>`, `<img src=x onerror="fetch('${beacon}/ran?img')">`, `<svg onload="fetch('${beacon}/ran?svg')">`, `"><img src="${beacon}/ran?attribute">`, `</title></style><script>fetch('${beacon}/ran?title')</script>`,
    `<iframe srcdoc="<script>parent.fetch('${beacon}/ran?frame')</script>"></iframe>`, `<meta http-equiv="refresh" content="0;url=${beacon}/ran?meta">`, `<link rel="stylesheet" href="${beacon}/ran?style">`, `{{{raw}}}<input autofocus onfocus="fetch('${beacon}/ran?focus')">`,
  ];
}

async function startBeacon(): Promise<Stage> {
  const hits: string[] = [];
  let undefended = '';
  const server = createServer((request, response) => {
    const { url = '' } = request;
    if (url.startsWith('/ran')) hits.push(url);
    response.writeHead(200, { 'content-type': 'text/html', 'access-control-allow-origin': '*' }).end(url === '/undefended' ? undefended : '');
  }).unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const beacon = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  undefended = `<!doctype html><body>${scripts(beacon).join('')}</body>`;
  return { beacon, hits, server, mails: [] };
}

function stageOf(context: Context): Stage {
  const stage = stages.get(context);
  if (!stage) throw new Error('nothing was prepared');
  return stage;
}
