// Who is calling: a signed token in, a Caller out.
import { type ContextKey, type HandlerContext, createContextKey } from '@connectrpc/connect';
import { type JSONWebKeySet, createLocalJWKSet, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { refuse } from './errors.ts';

export type Role = 'admin' | 'buyer' | 'service';
export type Caller = { subject: string; role: Role };
export type Verifier = (authorization: string | null) => Promise<Caller>;

export const ISSUER = 'millrace';
/** A token may leave its audience out; one that names others is theirs (RFC 7519, 4.1.3). */
const AUDIENCE = 'millrace';
export const ALGORITHM = 'EdDSA';

/** As nearly everybody writes it; any case and number of blanks will do. */
const SCHEME = 'Bearer ';
const ROLES: readonly string[] = ['admin', 'buyer', 'service'] satisfies Role[];
// A token is a few hundred bytes; anything larger is not one of ours and not worth hashing.
const MAX_TOKEN_CHARS = 4_096;
const MAX_SUBJECT_CHARS = 200;
// Verifying costs about 100 µs and the same few tokens come again and again. Bounded in number and, in case a clock is moved, in time.
const CACHED_TOKENS = 10_000;
const CACHED_FOR_MS = 300_000;

const callerKey: ContextKey<Caller | undefined> = createContextKey<Caller | undefined>(undefined, { description: 'caller' });

/** The verified caller of this call. */
export function callerOf(context: Pick<HandlerContext, 'values'>): Caller {
  const caller = context.values.get(callerKey);
  if (!caller) throw refuse('UNAUTHENTICATED', 'this call needs a token');
  return caller;
}

export function setCaller(context: Pick<HandlerContext, 'values'>, caller: Caller): void {
  context.values.set(callerKey, caller);
}

/** Checks `authorization` headers against public keys (a JWKS as JSON). Throws UNAUTHENTICATED, without saying which check failed. */
export function createVerifier(jwks: string): Verifier {
  const keys = createLocalJWKSet(JSON.parse(jwks) as JSONWebKeySet);
  const known = new LRUCache<string, Verified>({ max: CACHED_TOKENS });
  return async (authorization) => {
    // Written the way it is remembered, it need not be taken apart.
    const usual = authorization !== null && known.has(authorization) ? authorization : `${SCHEME}${bearerToken(authorization)}`;
    const remembered = known.get(usual);
    // Our own clock check: the cache's own runs on a monotonic clock, a token's expiry does not.
    if (remembered && remembered.until > Date.now()) return remembered.caller;
    const verified = await verify(usual.slice(SCHEME.length), keys);
    known.set(usual, verified);
    return verified.caller;
  };
}

function bearerToken(authorization: string | null): string {
  const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined || token.length > MAX_TOKEN_CHARS) throw refuse('UNAUTHENTICATED', 'this call needs a token: authorization: Bearer <token>');
  return token;
}

async function verify(token: string, keys: ReturnType<typeof createLocalJWKSet>): Promise<Verified> {
  const { payload } = await jwtVerify(token, keys, { algorithms: [ALGORITHM], issuer: ISSUER, requiredClaims: ['exp', 'sub', 'role'] }).catch((cause: unknown) => {
    throw Object.assign(refuse('UNAUTHENTICATED', 'the token is not valid'), { cause });
  });
  const { sub, role, exp, aud = AUDIENCE } = payload;
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT_CHARS || !isRole(role) || ![aud].flat().includes(AUDIENCE)) throw refuse('UNAUTHENTICATED', 'the token is not valid');
  return { caller: Object.freeze({ subject: sub, role }), until: Math.min((exp ?? 0) * 1_000, Date.now() + CACHED_FOR_MS) };
}

function isRole(role: unknown): role is Role {
  return typeof role === 'string' && ROLES.includes(role);
}

type Verified = { caller: Caller; until: number };
