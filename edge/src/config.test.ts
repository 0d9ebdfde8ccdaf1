import { expect, test } from 'vitest';
import { readEdgeConfig, serviceUrls } from './config.ts';
import { SERVICE_NAMES } from './routes.ts';

const JWKS = JSON.stringify({ keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'x' }] });
const URLS = Object.fromEntries(SERVICE_NAMES.map((name, i) => [`${name.toUpperCase()}_URL`, `http://127.0.0.1:${8081 + i}/`]));

test('services, origins and limits come from the environment, with defaults for a machine of one', () => {
  const config = readEdgeConfig({ PORT: '8080', MILLRACE_JWKS: JWKS, ...URLS });
  expect(serviceUrls(config).order).toBe('http://127.0.0.1:8081');
  expect(config.EDGE_RATE_LIMIT).toBe(5_000);
  expect(config.EDGE_CORS_ORIGINS).toContainEqual({ prefix: 'http://localhost', anyPort: true });
});

test('everything that is missing or wrong is said at once', () => {
  const read = () => readEdgeConfig({ PORT: '8080', MILLRACE_JWKS: JWKS, ...URLS, PAYMENT_URL: '', EDGE_CORS_ORIGINS: '*', EDGE_RATE_LIMIT: '0' });
  for (const word of ['PAYMENT_URL is missing', 'EDGE_CORS_ORIGINS is wrong', 'EDGE_RATE_LIMIT is wrong']) expect(read).toThrow(word);
});
