import { describe, expect, it } from 'vitest';
import { createLog } from './log.ts';

describe('log', () => {
  it('writes one JSON line with service, level, time and message', () => {
    const [line] = logged((log) => log.info({ port: 8081 }, 'ready'));
    expect(line).toMatchObject({ service: 'order', level: 'info', port: 8081, msg: 'ready' });
    expect(Date.parse(String(line?.time))).not.toBeNaN();
  });

  it.each(['authorization', 'token', 'clientSecret', 'client_secret', 'password', 'email', 'phone', 'name', 'body', 'STRIPE_SECRET_KEY'.slice(7), 'webhookSecret'])('hides %s at any depth and in arrays', (key) => {
    const [line] = logged((log) => log.warn({ [key]: 'canary', request: { [key]: 'canary', list: [{ [key]: 'canary' }] } }, 'hm'));
    expect(JSON.stringify(line)).not.toContain('canary');
  });

  it('hides them in the bindings of child logs too', () => {
    const [line] = logged((log) => log.child({ token: 'canary' }).info('hello'));
    expect(JSON.stringify(line)).not.toContain('canary');
  });

  it('writes an error with its stack and causes, but not the rows that a database quotes', () => {
    const cause = Object.assign(new Error('duplicate key value'), { code: '23505', constraint: 'orders_pkey', detail: 'Key (email)=(ann@example.com) already exists.' });
    const [line] = logged((log) => log.error({ err: new Error('could not place the order', { cause }) }, 'failed'));
    expect(line?.err).toMatchObject({ message: 'could not place the order', cause: { code: '23505', constraint: 'orders_pkey' } });
    expect(JSON.stringify(line)).not.toContain('ann@example.com');
  });

  it('writes an error that is given alone', () => {
    const [line] = logged((log) => log.error(new Error('mail to ann@example.com failed')));
    expect(line).toMatchObject({ msg: 'mail to [email] failed', err: { type: 'Error', message: 'mail to [email] failed' } });
  });

  it('writes bigints, dates, buffers and deep objects without failing', () => {
    const [line] = logged((log) => log.info({ position: 12n, at: new Date(0), raw: new Uint8Array(3), a: { b: { c: { d: { e: { f: 1 } } } } } }, 'odd'));
    expect(line).toMatchObject({ position: '12', at: '1970-01-01T00:00:00.000Z', raw: '[3 bytes]' });
  });
});

function logged(write: (log: ReturnType<typeof createLog>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLog('order', 'debug', { write: (line: string) => lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
