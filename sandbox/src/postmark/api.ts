// Postmark's HTTP API: POST /email, POST /email/batch and the search of sent messages.
import type { Incoming, Reply } from '../http.ts';
import { pause } from '../pause.ts';
import type { Sandbox } from '../sandbox.ts';
import type { NewMail } from '../store/store.ts';
import { acceptEmail } from './email.ts';
import { faultRefusal, PostmarkRefusal } from './errors.ts';
import { messageDetails, searchMessages } from './messages.ts';

const MAX_BATCH = 500;

interface Route {
  name: string;
  run(sandbox: Sandbox, incoming: Incoming, decline: boolean): object;
}

export function createPostmarkApi(sandbox: Sandbox) {
  return async function handle(incoming: Incoming): Promise<Reply> {
    try {
      if (incoming.headers['x-postmark-server-token'] !== sandbox.config.postmark.serverToken) {
        throw new PostmarkRefusal(401, 10, 'The Server Token you provided in the X-Postmark-Server-Token request header was invalid. Please verify that you are using a valid token.');
      }
      const route = findRoute(incoming);
      const hit = sandbox.faults.take('postmark', [route.name], route.name.startsWith('email.'));
      await pause(hit.delayMs, sandbox.signal);
      if (hit.effect === 'error') throw faultRefusal(hit.status);
      const body = route.run(sandbox, incoming, hit.effect === 'decline');
      return { status: 200, body: JSON.stringify(body), ...(hit.effect === 'lost_reply' && { lost: true as const }) };
    } catch (error) {
      const refusal = error instanceof PostmarkRefusal ? error : faultRefusal(500);
      if (refusal !== error) sandbox.log.error('postmark request failed', { path: incoming.path.slice(0, 200), error: String(error) });
      const headers: Record<string, string> = refusal.status === 429 || refusal.status === 503 ? { 'retry-after': '1' } : {};
      return { status: refusal.status, headers, body: JSON.stringify(refusalBody(refusal)) };
    }
  };
}

function findRoute({ method, path }: Incoming): Route {
  const details = /^\/messages\/outbound\/([^/]+)\/details$/.exec(path);
  if (details) return allow(method, 'GET', { name: 'messages.retrieve', run: (sandbox) => messageDetails(sandbox.store, details[1] as string) });
  switch (path) {
    case '/email':
      return allow(method, 'POST', { name: 'email.send', run: sendOne });
    case '/email/batch':
      return allow(method, 'POST', { name: 'email.batch', run: sendBatch });
    case '/messages/outbound':
      return allow(method, 'GET', { name: 'messages.list', run: (sandbox, incoming) => searchMessages(sandbox.store, incoming.query) });
    default:
      throw new PostmarkRefusal(404, 404, `The requested resource does not exist: ${path.slice(0, 100)} (the sandbox sends single and batched messages and searches outbound ones).`);
  }
}

function allow(method: string, expected: string, route: Route): Route {
  if (method !== expected) throw new PostmarkRefusal(405, 405, `Method ${method} is not allowed here; use ${expected}.`);
  return route;
}

function sendOne(sandbox: Sandbox, incoming: Incoming, decline: boolean): object {
  const mail = accept(sandbox, parseJson(incoming), decline);
  sandbox.store.appendMails([mail]);
  return accepted(mail);
}

/** Every message stands for itself: one that is refused does not hinder the others. */
function sendBatch(sandbox: Sandbox, incoming: Incoming, decline: boolean): object {
  const messages = parseJson(incoming);
  if (!Array.isArray(messages)) throw new PostmarkRefusal(422, 403, 'The JSON you provided is incompatible: a batch must be an array of messages.');
  if (messages.length > MAX_BATCH) throw new PostmarkRefusal(422, 410, `Too many batch messages: at most ${MAX_BATCH} are allowed.`);
  const outcomes = messages.map((message: unknown): NewMail | PostmarkRefusal => {
    try {
      return accept(sandbox, message, decline);
    } catch (error) {
      if (error instanceof PostmarkRefusal) return error;
      throw error;
    }
  });
  const mails = outcomes.filter((outcome): outcome is NewMail => !(outcome instanceof PostmarkRefusal));
  if (mails.length > 0) sandbox.store.appendMails(mails);
  return outcomes.map((outcome) => (outcome instanceof PostmarkRefusal ? refusalBody(outcome) : accepted(outcome)));
}

function accept(sandbox: Sandbox, message: unknown, decline: boolean): NewMail {
  const { store, config } = sandbox;
  return acceptEmail(message, {
    at: sandbox.now(),
    newId: () => store.mails.newId(),
    inactive: store.inactive,
    hooks: config.postmark.webhookUrl !== undefined,
    decline,
  });
}

function parseJson(incoming: Incoming): unknown {
  if (incoming.oversize) throw new PostmarkRefusal(413, 413, 'Payload Too Large: the sandbox takes up to 1 MiB.');
  if (!incoming.headers['content-type']?.startsWith('application/json')) {
    throw new PostmarkRefusal(415, 409, 'Your HTTP request does not have the Content-Type header set to application/json.');
  }
  try {
    return JSON.parse(incoming.body);
  } catch {
    throw new PostmarkRefusal(422, 402, 'Received invalid JSON input.');
  }
}

const accepted = (mail: NewMail) => ({ To: mail.to, SubmittedAt: new Date(mail.at).toISOString(), MessageID: mail.id, ErrorCode: 0, Message: 'OK' });

const refusalBody = (refusal: PostmarkRefusal) => ({ ErrorCode: refusal.code, Message: refusal.message });
