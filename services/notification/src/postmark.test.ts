import fc from 'fast-check';
import { expect, it } from 'vitest';
import { batchesOf, createPostmark } from './postmark.ts';

const mail = { notificationId: 'ntf_1', orderId: 'ord_1', kind: 'refund', to: 'ada@mail.example', subject: 's', html: 'h', text: 't' };
const answering = (answer: () => Response | Promise<Response>, seen: { url?: string; body?: unknown } = {}) =>
  createPostmark({
    token: 't',
    apiBase: 'http://127.0.0.1:1/base',
    from: 'shop@millrace.example',
    fetch: async (input, init) => {
      Object.assign(seen, { url: input as string, body: init?.body ? JSON.parse(init.body as string) : undefined });
      return answer();
    },
  });

it('puts every mail into exactly one batch, in order, none larger than a call takes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400_000 }), { maxLength: 40 }), fc.integer({ min: 0, max: 1_200 }), (sizes, small) => {
      const mails = [...sizes, ...Array.from({ length: small }, () => 10)].map((size) => ({ html: 'x'.repeat(size), text: '' }));
      const batches = batchesOf(mails);
      expect(batches.flat()).toEqual(mails);
      for (const batch of batches) {
        expect(batch.length).toBeLessThanOrEqual(500);
        expect(batch.length === 1 || batch.reduce((sum, one) => sum + one.html.length, 0) <= 700_000).toBe(true);
      }
    }),
    { numRuns: 30 },
  );
});

it('sends metadata that names the order, the kind and the message', async () => {
  const seen: { url?: string; body?: unknown } = {};
  await answering(() => Response.json([{ ErrorCode: 0, Message: 'OK', MessageID: 'm1' }]), seen).send([mail]);
  expect(seen.url).toBe('http://127.0.0.1:1/base/email/batch');
  expect(seen.body).toMatchObject([{ To: 'ada@mail.example', Metadata: { order_id: 'ord_1', kind: 'refund', notification_id: 'ntf_1' } }]);
});

it.each([
  ['an answer for each mail', () => Response.json([{ ErrorCode: 0, Message: 'OK', MessageID: 'm1' }]), 'sent'],
  ['fewer answers than mails', () => Response.json([]), 'unknown'],
  ['a page of somebody in between', () => new Response('<html>'), 'unknown'],
  ['a reply that breaks off', () => Promise.reject(new TypeError('terminated')), 'unknown'],
  ['an internal error', () => Response.json({ ErrorCode: 0, Message: 'x' }, { status: 500 }), 'unknown'],
  ['no connection', () => Promise.reject(new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) })), 'delayed'],
  ['too many requests', () => Response.json({ ErrorCode: 429, Message: 'slow down' }, { status: 429 }), 'delayed'],
])('takes %s for what it is', async (_title, answer, type) => {
  expect((await answering(answer).send([mail])).map((outcome) => outcome.type)).toEqual([type]);
});

it('finds a mail by its metadata, and refuses somebody else’s', async () => {
  const seen: { url?: string } = {};
  const found = (id: string) => () => Response.json({ TotalCount: 1, Messages: [{ MessageID: 'm1', Metadata: { notification_id: id } }] });
  expect(await answering(found('ntf_1'), seen).find('ntf_1')).toBe('m1');
  expect(seen.url).toContain('metadata_notification_id=ntf_1');
  expect(await answering(() => Response.json({ TotalCount: 0, Messages: [] })).find('ntf_1')).toBeUndefined();
  await expect(answering(found('ntf_2')).find('ntf_1')).rejects.toThrow('another mail');
});
