import { expect, test } from 'vitest';
import { paid, sandbox } from '../../test/harness.ts';

const EVIL = '<script>alert(1)</script>';

test('the page runs no script but its own, and the data reach it as JSON', async () => {
  const { url, stripe, postmark, twilio, get } = await sandbox();
  await stripe.paymentIntents.create(paid(EVIL));
  await postmark.sendEmail({ From: 'a@b.c', To: 'd@e.f', Subject: EVIL, HtmlBody: EVIL });
  await twilio('/Messages.json', { To: '+14155552671', From: '+15005550006', Body: EVIL });
  const page = await fetch(url);
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  const body = await page.text();
  expect(body).not.toContain('alert(1)');
  expect(body).not.toMatch(/https?:\/\/|innerHTML/);
  expect(await get('/inbox/data')).toMatchObject({ mails: [{ subject: EVIL }], texts: [{ body: EVIL }], intents: [{ status: 'succeeded', order: EVIL }], counts: { mails: 1, texts: 1, intents: 1 } });
});

test('a mail is shown without scripts, without origin and without requests', async () => {
  const { url, postmark } = await sandbox();
  const { MessageID } = await postmark.sendEmail({ From: 'a@b.c', To: 'd@e.f', Subject: '', HtmlBody: EVIL, TextBody: 'plain' });
  const mail = await fetch(`${url}/inbox/mail/${MessageID}`);
  expect(mail.headers.get('content-security-policy')).toMatch(/^sandbox; default-src 'none'/);
  expect(await mail.text()).toBe(EVIL);
  const text = await fetch(`${url}/inbox/mail/${MessageID}?text`);
  expect([text.headers.get('content-type'), await text.text()]).toEqual(['text/plain; charset=utf-8', 'plain']);
  expect((await fetch(`${url}/inbox/mail/none`)).status).toBe(404);
});
