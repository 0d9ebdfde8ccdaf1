import { describe, expect, it } from 'vitest';
import { ConfigError, duration, processConfig, readConfig, serviceConfig, url } from './config.ts';

const KEYS = '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"abc"}]}';

describe('readConfig', () => {
  it('reads what is set and fills in what has a default', () => {
    const config = readConfig('inventory', processConfig, { PORT: '8083', MILLRACE_JWKS: KEYS, UNRELATED: 'x' });
    expect(config).toEqual({ PORT: 8083, HOST: '127.0.0.1', LOG_LEVEL: 'info', MILLRACE_JWKS: KEYS });
  });

  it('names everything that is missing or wrong in one message', () => {
    const error = failure(() => readConfig('inventory', serviceConfig, { PORT: '99999', DATABASE_URL: '', NATS_URL: 'http://broker' }));
    expect(error.problems.map((problem) => problem.split(':')[0])).toEqual([
      'PORT is wrong',
      'MILLRACE_JWKS is missing',
      'DATABASE_URL is missing',
      'NATS_URL is wrong',
      'MILLRACE_TOKEN is missing',
    ]);
    expect(error.message).toMatch(/^inventory can't start/);
  });

  it('never repeats a value, which may be a secret', () => {
    const error = failure(() => readConfig('order', serviceConfig, { PORT: 'hunter2', LOG_LEVEL: 'hunter2', DATABASE_URL: 'mysql://a:hunter2@b', NATS_URL: 'hunter2', MILLRACE_TOKEN: 'hunter2', MILLRACE_JWKS: 'hunter2' }));
    expect(error.problems).toHaveLength(6);
    expect(error.message).not.toContain('hunter2');
  });

  it('refuses private keys where public ones belong', () => {
    expect(() => readConfig('order', processConfig, { PORT: '0', MILLRACE_JWKS: '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"a","d":"b"}]}' })).toThrow(ConfigError);
  });
});

describe('duration', () => {
  it.each([['500ms', 500], ['90s', 90_000], ['30m', 1_800_000], ['2h', 7_200_000], ['7d', 604_800_000]])('reads %s', (text, ms) => {
    expect(duration.parse(text)).toBe(ms);
  });

  it.each(['', '5', '5 m', '-5m', '1.5h', '5w'])('refuses "%s"', (text) => {
    expect(duration.safeParse(text).success).toBe(false);
  });
});

describe('url', () => {
  it('drops the slash at the end, so that paths can be appended', () => {
    expect(url.parse('http://127.0.0.1:8082/')).toBe('http://127.0.0.1:8082');
  });

  it('takes http and https only', () => {
    expect(url.safeParse('file:///etc/passwd').success).toBe(false);
  });
});

function failure(work: () => unknown): ConfigError {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error;
  }
  throw new Error('it was accepted');
}
