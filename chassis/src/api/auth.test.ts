import { createContextValues } from '@connectrpc/connect';
import { SignJWT, UnsecuredJWT, generateKeyPair } from 'jose';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type TestKeys, testKeys } from '../../../test/support/tokens.ts';
import { callerOf, createVerifier, setCaller } from './auth.ts';

let keys: TestKeys;
beforeAll(async () => {
  keys = await testKeys();
});

describe('a verifier', () => {
  it('tells who is calling', async () => {
    const verify = createVerifier(keys.jwks);
    expect(await verify(`Bearer ${await keys.token('ann', 'buyer')}`)).toEqual({ subject: 'ann', role: 'buyer' });
  });

  it.each([{}, { aud: 'millrace' }, { aud: ['shop', 'millrace'] }])('takes a token that is meant for us: %j', async (claims) => {
    await expect(createVerifier(keys.jwks)(`Bearer ${await keys.token('ann', 'buyer', { claims })}`)).resolves.toMatchObject({ subject: 'ann' });
  });

  it.each<[string, () => Promise<string | null>]>([
    ['no header', async () => null],
    ['an empty header', async () => ''],
    ['another scheme', async () => 'Basic YTpi'],
    ['something that is no token', async () => 'Bearer abc'],
    ['a huge token', async () => `Bearer a.${'b'.repeat(10_000)}.c`],
    ['an expired token', async () => bearer(keys.token('ann', 'admin', { expires: '-1s' }))],
    ['another issuer', async () => bearer(keys.token('ann', 'admin', { issuer: 'somebody' }))],
    ['a token for others', async () => bearer(keys.token('ann', 'admin', { claims: { aud: ['shop', 'wiki'] } }))],
    ['an unknown role', async () => bearer(keys.token('ann', 'king' as 'admin'))],
    ['an empty subject', async () => bearer(keys.token('', 'admin'))],
    ["somebody else's key", async () => bearer((await testKeys()).token('ann', 'admin'))],
    ['algorithm none', async () => bearer(new UnsecuredJWT({ role: 'admin' }).setSubject('ann').setIssuer('millrace').setExpirationTime('1h').encode())],
    ['a token signed with the public key as a shared secret', async () => bearer(signed('HS256', new TextEncoder().encode(keys.jwks)))],
    ['another algorithm', async () => bearer(signed('ES256', (await generateKeyPair('ES256')).privateKey))],
    ['no expiry', async () => bearer(new SignJWT({ role: 'admin' }).setProtectedHeader({ alg: 'EdDSA' }).setSubject('ann').setIssuer('millrace').sign((await generateKeyPair('EdDSA')).privateKey))],
    ['an altered payload', async () => altered(await keys.token('ann', 'buyer'))],
  ])('refuses %s', async (_title, header) => {
    await expect(createVerifier(keys.jwks)(await header())).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  });

  it('forgets a remembered token when it expires', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    try {
      const verify = createVerifier(keys.jwks);
      const header = `Bearer ${await keys.token('ann', 'buyer', { expires: Math.floor(Date.now() / 1_000) + 60 })}`;
      await verify(header);
      await expect(verify(header)).resolves.toBeDefined();
      vi.advanceTimersByTime(61_000);
      await expect(verify(header)).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
    } finally {
      vi.useRealTimers();
    }
  });
});

it('a call without a verified caller has none', () => {
  const context = { values: createContextValues() };
  expect(() => callerOf(context)).toThrow(expect.objectContaining({ reason: 'UNAUTHENTICATED' }));
  setCaller(context, { subject: 'ann', role: 'buyer' });
  expect(callerOf(context)).toEqual({ subject: 'ann', role: 'buyer' });
});

async function bearer(token: string | Promise<string>): Promise<string> {
  return `Bearer ${await token}`;
}

async function signed(alg: string, key: CryptoKey | Uint8Array): Promise<string> {
  return new SignJWT({ role: 'admin' }).setProtectedHeader({ alg }).setSubject('ann').setIssuer('millrace').setExpirationTime('1h').sign(key);
}

function altered(token: string): string {
  const [header, payload, signature] = token.split('.');
  const claims = { ...(JSON.parse(Buffer.from(payload ?? '', 'base64url').toString()) as object), role: 'admin' };
  return `Bearer ${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
}
