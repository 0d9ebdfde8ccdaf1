// Tokens that are none: every way we know to forge, stretch or smuggle one, at the edge and at the services' own ports.
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { attack } from '../attack.ts';
import { ask } from '../buyers/ask.ts';
import type { Context } from '../experiment.ts';
import type { System } from '../system/system.ts';
import { pause } from '../wait.ts';

type Verdict = 'refused' | 'taken';
/** Values of the header "authorization", one per line sent. */
type Row = { name: string; headers: string[]; verdict: Verdict };
type Claims = Record<string, unknown>;

const HOUR_S = 3_600;
/** Long enough to be asked about at six places of a busy machine. */
const SHORT_LIVED_S = 12;
const HUGE = { header: 10_000, beyond: 100_000 };
/** Bad, unknown, not allowed, too large; 0 is cut off in the middle of an endless header. */
const REFUSALS = [400, 401, 403, 431, 0];

/** One call per place that only operators and back ends may make. */
const CALLS: Record<string, string> = {
  edge: 'millrace.inventory.v1.InventoryService/ListStock',
  order: 'millrace.order.v1.OrderService/ListStuckOrders',
  product: 'millrace.product.v1.ProductService/ListProducts',
  inventory: 'millrace.inventory.v1.InventoryService/ListStock',
  payment: 'millrace.payment.v1.PaymentService/ListPayments',
  notification: 'millrace.notification.v1.NotificationService/ListNotifications',
};

export const A7 = attack({
  id: 'A7',
  title: 'forged, expired, tampered and smuggled tokens',
  tries: 'calls with such tokens',
  changesNothing: true,
  async round({ system, random }: Context, tries) {
    const forge = forgeOf(system);
    const rows = random.shuffled(table(forge, system.runtime.sandbox));
    const brief = forge.made({ exp: now() + SHORT_LIVED_S });
    const everywhere = async (all: readonly Row[]): Promise<void> => {
      for (const [place, rpc] of Object.entries(CALLS)) {
        const url = `${place === 'edge' ? system.runtime.edge : system.runtime.services[place as 'order']}/${rpc}`;
        await Promise.all(all.map(async ({ name, headers, verdict }) => {
          const { status } = await ask(url, 'POST', ['content-type', 'application/json', ...headers.flatMap((value) => ['authorization', value])], '{}');
          const right = verdict === 'taken' ? status === 200 : REFUSALS.includes(status);
          tries.look(`${name} at ${place}`, right ? undefined : `answered ${status}, but should be ${verdict}`);
        }));
      }
    };
    await everywhere([{ name: 'one that ends soon', headers: [`Bearer ${brief}`], verdict: 'taken' }]);
    await everywhere(rows);
    await pause((SHORT_LIVED_S + 1) * 1_000);
    // The memory of verified tokens must not outlive them.
    await everywhere([{ name: 'one that was good a moment ago', headers: [`Bearer ${brief}`], verdict: 'refused' }]);
  },
});

type Forge = { kid: string; publicKey: string; key: KeyObject; /** A good token, but for the change. */ made: (change: Claims, header?: Claims, by?: KeyObject) => string; claims: Claims; header: Claims };

function forgeOf(system: System): Forge {
  const jwk = JSON.parse(readFileSync(path.join(system.home, 'signing-key.json'), 'utf8')) as { kid: string; x: string; d: string; kty: string; crv: string };
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const header = { alg: 'EdDSA', kid: jwk.kid };
  const claims = { iss: 'millrace', sub: 'a7', role: 'admin', iat: now(), exp: now() + HOUR_S };
  return {
    kid: jwk.kid, publicKey: jwk.x, key, header, claims,
    made: (change, head = header, by = key) => signed(head, { ...claims, ...change }, (data) => sign(null, data, by)),
  };
}

/** Also the good ones: a table in which everything is refused proves nothing. */
function table({ kid, publicKey, key, made, claims, header }: Forge, elsewhere: string): Row[] {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'pem' });
  const other = generateKeyPairSync('ed25519').privateKey;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const without = (name: string): string => made({ [name]: undefined });
  const shared = (secret: string | Buffer, alg = 'HS256'): string => signed({ ...header, alg }, claims, (data) => createHmac('sha256', secret).update(data).digest());
  const good = made({});
  const [head = '', body = '', signature = ''] = good.split('.');
  const buyer = made({ role: 'buyer' });
  const bearer = (token: string): string[] => [`Bearer ${token}`];
  const refused = (rows: Record<string, string[]>): Row[] => Object.entries(rows).map(([name, headers]) => ({ name, headers, verdict: 'refused' }));
  const taken = (rows: Record<string, string[]>): Row[] => Object.entries(rows).map(([name, headers]) => ({ name, headers, verdict: 'taken' }));

  return [
    ...taken({ 'a good one': bearer(good), 'a lower-case scheme': [`bearer ${good}`], 'our audience': bearer(made({ aud: 'millrace' })), 'ours among audiences': bearer(made({ aud: ['shop', 'millrace'] })) }),
    ...refused({
      'no header': [], 'an empty header': [''], 'no token': ['Bearer '], 'garbage': bearer('garbage'), 'three parts of garbage': bearer('a.b.c'), 'another scheme': [`Basic ${good}`],
      'no scheme': [good], 'two tokens in one header': [`Bearer ${good}, Bearer ${good}`], 'a token twice': [`Bearer ${good} ${good}`], 'a quoted token': [`Bearer "${good}"`],
      'algorithm none': bearer(`${encode({ alg: 'none' })}.${body}.`), 'algorithm nOnE with a signature': bearer(`${encode({ alg: 'nOnE', kid })}.${body}.${signature}`), 'no signature': bearer(`${head}.${body}.`),
      'the public key as a shared secret (PEM)': bearer(shared(spki)), 'the public key as a shared secret (x)': bearer(shared(publicKey)), 'the public key as a shared secret (raw)': bearer(shared(Buffer.from(publicKey, 'base64url'))), 'an empty shared secret': bearer(shared('')),
      'RS256 of a key of one\'s own': bearer(signed({ ...header, alg: 'RS256' }, claims, (data) => sign('sha256', data, rsa.privateKey))),
      'a key of one\'s own in the header': bearer(made({}, { alg: 'EdDSA', jwk: createPublicKey(other).export({ format: 'jwk' }) }, other)),
      'a key address in the header': bearer(made({}, { ...header, jku: `${elsewhere}/keys`, x5u: `${elsewhere}/keys` }, other)),
      'a key that is not published': bearer(made({}, header, other)), 'a wrong kid': bearer(made({}, { alg: 'EdDSA', kid: 'other' })), 'a path as kid': bearer(made({}, { alg: 'EdDSA', kid: '../../../dev/null' })),
      'a critical extension': bearer(made({}, { ...header, crit: ['exp'], exp: now() })), 'an unencoded payload': bearer(made({}, { ...header, b64: false, crit: ['b64'] })),
      'expired': bearer(made({ exp: now() - 1 })), 'not yet': bearer(made({ nbf: now() + HOUR_S })), 'no expiry': bearer(without('exp')), 'an expiry in words': bearer(made({ exp: 'tomorrow' })),
      'another issuer': bearer(made({ iss: 'somebody' })), 'no issuer': bearer(without('iss')), 'another audience': bearer(made({ aud: 'another-shop' })), 'other audiences': bearer(made({ aud: ['a', 'b'] })),
      'no subject': bearer(without('sub')), 'an empty subject': bearer(made({ sub: '' })), 'a huge subject': bearer(made({ sub: 'x'.repeat(1_000) })), 'a subject that is an object': bearer(made({ sub: { name: 'admin' } })),
      'no role': bearer(without('role')), 'an unknown role': bearer(made({ role: 'root' })), 'roles as a list': bearer(made({ role: ['admin'] })), 'a role in capitals': bearer(made({ role: 'ADMIN' })), 'a role of the prototype': bearer(made({ role: '__proto__' })),
      'a tampered payload': bearer(`${head}.${encode({ ...claims, sub: 'somebody' })}.${signature}`), 'a tampered header': bearer(`${encode({ ...header, typ: 'at+jwt' })}.${body}.${signature}`), 'a buyer\'s signature': bearer(`${head}.${body}.${buyer.split('.')[2]}`), 'half a signature': bearer(`${head}.${body}.${signature.slice(0, 43)}`),
      'a huge token': bearer(`${head}.${body}.${'A'.repeat(HUGE.header)}`), 'a token larger than any header': bearer(`${head}.${body}.${'A'.repeat(HUGE.beyond)}`),
      'a payload that is no object': bearer(signedText(head, Buffer.from('"admin"').toString('base64url'), key)), 'a payload that is no JSON': bearer(signedText(head, Buffer.from('{"role":').toString('base64url'), key)),
      'garbage before a good one': ['Bearer garbage', `Bearer ${good}`], 'an empty one before a good one': ['', `Bearer ${good}`],
    }),
  ];
}

function signed(header: Claims, payload: Claims, by: (data: Buffer) => Buffer): string {
  const data = `${encode(header)}.${encode(payload)}`;
  return `${data}.${by(Buffer.from(data)).toString('base64url')}`;
}

function signedText(head: string, body: string, key: KeyObject): string {
  return `${head}.${body}.${sign(null, Buffer.from(`${head}.${body}`), key).toString('base64url')}`;
}

function now(): number {
  return Math.floor(Date.now() / 1_000);
}

function encode(value: Claims): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
