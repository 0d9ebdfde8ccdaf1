// Twilio's HTTP API: /2010-04-01/Accounts/:sid/Messages.json and Messages/:sid.json.
import type { Incoming, Reply } from '../http.ts';
import { pause } from '../pause.ts';
import type { Sandbox } from '../sandbox.ts';
import { errorBody, faultRefusal, notFound, TwilioRefusal } from './errors.ts';
import { acceptMessage, renderMessage } from './messages.ts';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;

interface Done {
  status: number;
  body: object;
}

export function createTwilioApi(sandbox: Sandbox) {
  return async function handle(incoming: Incoming): Promise<Reply> {
    try {
      checkPassword(incoming.headers['authorization'], sandbox.config.twilio);
      const { name, run } = findOperation(sandbox, incoming);
      const hit = sandbox.faults.take('twilio', [name], name === 'messages.create');
      await pause(hit.delayMs, sandbox.signal);
      if (hit.effect === 'error') throw faultRefusal(hit.status);
      const { status, body } = run(hit.effect === 'decline');
      return { status, body: JSON.stringify(body), ...(hit.effect === 'lost_reply' && { lost: true as const }) };
    } catch (error) {
      const refusal = error instanceof TwilioRefusal ? error : faultRefusal(500);
      if (refusal !== error) sandbox.log.error('twilio request failed', { path: incoming.path.slice(0, 200), error: String(error) });
      const headers: Record<string, string> = {};
      if (refusal.status === 401) headers['www-authenticate'] = 'Basic realm="Twilio API"';
      if (refusal.status === 429 || refusal.status === 503) headers['retry-after'] = '1';
      return { status: refusal.status, headers, body: JSON.stringify(errorBody(refusal)) };
    }
  };
}

function findOperation(sandbox: Sandbox, incoming: Incoming): { name: string; run: (decline: boolean) => Done } {
  const { accountSid } = sandbox.config.twilio;
  const found = /^\/2010-04-01\/Accounts\/([^/]+)\/Messages(?:\/([^/]+))?\.json$/.exec(incoming.path);
  if (!found || found[1] !== accountSid) throw notFound(incoming.path);
  const sid = found[2];
  const method = incoming.method;
  if (sid === undefined && method === 'POST') return { name: 'messages.create', run: (decline) => create(sandbox, incoming, decline) };
  if (method !== 'GET') throw new TwilioRefusal(405, 20004, 'Method not allowed');
  if (sid === undefined) return { name: 'messages.list', run: () => list(sandbox, incoming) };
  return {
    name: 'messages.retrieve',
    run: () => {
      const text = sandbox.store.texts.get(sid);
      if (!text) throw notFound(incoming.path);
      return { status: 200, body: renderMessage(text, accountSid) };
    },
  };
}

function create(sandbox: Sandbox, incoming: Incoming, decline: boolean): Done {
  if (incoming.oversize) throw new TwilioRefusal(413, 20413, 'Request entity too large');
  const { store, config } = sandbox;
  const text = acceptMessage(new URLSearchParams(incoming.body), {
    at: sandbox.now(),
    newId: () => store.texts.newId(),
    defaultCallback: config.twilio.webhookUrl,
    decline,
  });
  store.append({ at: text.at, text });
  return { status: 201, body: renderMessage(text, config.twilio.accountSid, 'queued') };
}

/** Newest first; `To` is answered from an index, the other filters walk over what is left. */
function list({ store, config }: Sandbox, incoming: Incoming): Done {
  const params = new URLSearchParams(incoming.query);
  const size = whole(params, 'PageSize', DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
  const page = whole(params, 'Page', 0, 1_000_000);
  const to = params.get('To');
  const from = params.get('From');
  const numbers = to === null ? countDown(store.texts.count()) : [...store.textsByTo.get(to)].reverse();
  const wanted: object[] = [];
  let skip = page * size;
  let more = false;
  for (const number of numbers) {
    const text = store.texts.at(number);
    if (!text || (from !== null && text.from !== from)) continue;
    if (skip-- > 0) continue;
    if (wanted.length === size) {
      more = true;
      break;
    }
    wanted.push(renderMessage(text, config.twilio.accountSid));
  }
  const uri = (number: number) => {
    const query = new URLSearchParams(params);
    query.set('Page', String(number));
    query.set('PageSize', String(size));
    return `${incoming.path}?${query.toString()}`;
  };
  return {
    status: 200,
    body: {
      messages: wanted, page, page_size: size, start: page * size, end: page * size + wanted.length - 1, uri: uri(page), first_page_uri: uri(0),
      next_page_uri: more ? uri(page + 1) : null,
      previous_page_uri: page > 0 ? uri(page - 1) : null,
    },
  };
}

function* countDown(count: number): Generator<number> {
  for (let number = count - 1; number >= 0; number--) yield number;
}

function whole(params: URLSearchParams, name: string, fallback: number, most: number): number {
  const text = params.get(name);
  if (text === null) return fallback;
  if (!/^\d{1,7}$/.test(text) || Number(text) > most || (name === 'PageSize' && text === '0')) throw new TwilioRefusal(400, 20001, `${name} must be a number up to ${most}`);
  return Number(text);
}

function checkPassword(header: string | undefined, { accountSid, authToken }: { accountSid: string; authToken: string }): void {
  const [scheme = '', value = ''] = (header ?? '').split(' ');
  const given = scheme.toLowerCase() === 'basic' ? Buffer.from(value, 'base64').toString() : '';
  if (given !== `${accountSid}:${authToken}`) throw new TwilioRefusal(401, 20003, 'Authenticate');
}
