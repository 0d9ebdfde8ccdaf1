// The key pair that signs demo tokens, and the tokens of people and services.
import { type JWK, SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose';
import { type Home, readJson, writeAtomically } from './home.ts';
import { SERVICES, type Service } from './nats-permissions.ts';

export type Tokens = {
  /** What services verify tokens with: `{"keys": […]}`. */
  jwks: string;
  people: { admin: string; buyer: string; buyer2: string; service: string };
  services: Record<Service, string>;
};

const ISSUER = 'millrace';
const LIFETIME = '365d'; // minted anew at every start
const PEOPLE = {
  admin: { sub: 'demo-admin', role: 'admin' },
  buyer: { sub: 'demo-buyer', role: 'buyer' },
  buyer2: { sub: 'demo-buyer-2', role: 'buyer' },
  service: { sub: 'demo-backend', role: 'service' },
};

/** Tokens signed with the home's key, which is made at the first start. */
export async function mintTokens(home: Home): Promise<Tokens> {
  const file = home.file('signing-key.json');
  let key = readJson<JWK>(file);
  if (!key) {
    key = await newSigningKey();
    writeAtomically(file, `${JSON.stringify(key)}\n`);
  }
  return tokensFor(key);
}

export async function newSigningKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg: 'EdDSA', use: 'sig', kid: await calculateJwkThumbprint(jwk) };
}

export async function tokensFor(key: JWK): Promise<Tokens> {
  const privateKey = await importJWK(key, 'EdDSA');
  const mint = async ({ sub, role }: { sub: string; role: string }): Promise<string> =>
    new SignJWT({ role }).setProtectedHeader({ alg: 'EdDSA', kid: key.kid ?? '' }).setIssuer(ISSUER).setSubject(sub).setIssuedAt().setExpirationTime(LIFETIME).sign(privateKey);
  const all = async <K extends string>(claims: Record<K, { sub: string; role: string }>): Promise<Record<K, string>> => {
    const entries = Object.entries<{ sub: string; role: string }>(claims).map(async ([name, claim]) => [name, await mint(claim)] as const);
    return Object.fromEntries(await Promise.all(entries)) as Record<K, string>;
  };
  const { d: _private, ...publicKey } = key;
  const own = Object.fromEntries(SERVICES.map((name) => [name, { sub: name, role: 'service' }])) as Record<Service, { sub: string; role: string }>;
  return { jwks: JSON.stringify({ keys: [publicKey] }), people: await all(PEOPLE), services: await all(own) };
}
