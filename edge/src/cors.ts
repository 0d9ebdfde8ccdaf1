// Which pages of other origins may call: browsers ask, and keep the answer.
import { cors } from '@connectrpc/connect';
import { SERVICE_HEADER } from '@millrace/chassis/api/named-service';
import type { HeaderBag, Req, Res } from './http.ts';
import { send, setHeaders } from './http.ts';

/** An exact origin, or one up to its port. */
export type Origin = { prefix: string; anyPort: boolean };

/** What browsers may keep a preflight's answer for; they cap it themselves (Chromium: two hours). */
const PREFLIGHT_SECONDS = 7_200;

const PREFLIGHT: HeaderBag = {
  'access-control-allow-methods': cors.allowedMethods.join(', '),
  'access-control-allow-headers': [...cors.allowedHeaders, 'Authorization', SERVICE_HEADER, 'X-Request-Id', 'Traceparent'].join(', '),
  'access-control-max-age': String(PREFLIGHT_SECONDS),
};
const EXPOSED = [...cors.exposedHeaders, 'X-Request-Id'].join(', ');

/** Reads "https://shop.example, http://localhost:*"; undefined when one of them isn't an origin. */
export function parseOrigins(text: string): Origin[] | undefined {
  const words = text.split(',').map((word) => word.trim()).filter(Boolean);
  const origins = words.map((word) => ({ prefix: word.replace(/:\*$/, ''), anyPort: word.endsWith(':*') }));
  return origins.every(({ prefix }) => !prefix.includes('*') && URL.canParse(prefix) && new URL(prefix).origin === prefix) ? origins : undefined;
}

export function isAllowed(origins: readonly Origin[], origin: string): boolean {
  return origins.some(({ prefix, anyPort }) => origin === prefix || (anyPort && origin.startsWith(`${prefix}:`) && /^\d{1,5}$/.test(origin.slice(prefix.length + 1))));
}

/** Sets what a cross-origin answer needs. True when the request was a preflight and is answered by that. */
export function applyCors(origins: readonly Origin[], req: Req, res: Res): boolean {
  const { origin } = req.headers;
  if (typeof origin !== 'string') return false;
  const allowed = isAllowed(origins, origin);
  setHeaders(res, { vary: 'Origin', ...(allowed && { 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED }) });
  if (req.method !== 'OPTIONS' || !req.headers['access-control-request-method']) return false;
  send(req, res, allowed ? 204 : 403, allowed ? PREFLIGHT : {});
  return true;
}
