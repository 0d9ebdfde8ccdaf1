// Tokens for tests: a key pair of the run's own, and whatever is to be signed with it.
import { ALGORITHM, ISSUER, type Role } from '@millrace/chassis/api/auth';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';

export type TestKeys = {
  jwks: string;
  token: (subject: string, role: Role, options?: { issuer?: string; expires?: string | number; claims?: Record<string, unknown> }) => Promise<string>;
};

/** `expires` as jose takes it: '1h', '-1s', or seconds since 1970. */
export async function testKeys(): Promise<TestKeys> {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { crv: 'Ed25519', extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'test', alg: ALGORITHM, use: 'sig' };
  return {
    jwks: JSON.stringify({ keys: [jwk] }),
    token: async (subject, role, { issuer = ISSUER, expires = '1h', claims = {} } = {}) =>
      new SignJWT({ role, ...claims }).setProtectedHeader({ alg: ALGORITHM, kid: 'test' }).setSubject(subject).setIssuer(issuer).setIssuedAt().setExpirationTime(expires).sign(privateKey),
  };
}
