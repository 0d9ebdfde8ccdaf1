// The page that stands in for the customer's bank: next_action.redirect_to_url leads here.
import { authenticate } from '../control.ts';
import { ControlError } from '../faults.ts';
import { html, type Html } from '../html.ts';
import type { Incoming, Reply } from '../http.ts';
import type { Sandbox } from '../sandbox.ts';
import type { Intent } from '../store/records.ts';
import { money } from './currencies.ts';

export const BANK_PATH = '/stripe/authenticate/';

export function bankPage(sandbox: Sandbox, incoming: Incoming): Reply {
  const id = incoming.path.slice(BANK_PATH.length);
  const intent = sandbox.store.intents.get(id);
  const secret = new URLSearchParams(incoming.query).get('client_secret');
  if (!intent || secret !== intent.secret) return page(404, html`<h1>Not found</h1><p>There is no payment under this link.</p>`);
  if (incoming.method === 'POST') {
    const succeeded = new URLSearchParams(incoming.body).get('outcome') === 'succeed';
    try {
      authenticate(sandbox, id, succeeded);
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      return page(409, html`<h1>Too late</h1><p>This payment no longer waits for you; it is <b>${intent.status}</b>.</p>`);
    }
    return intent.returnUrl ? redirect(intent, intent.returnUrl, succeeded) : page(200, html`<h1>Thank you</h1><p>You may close this page.</p>`);
  }
  if (incoming.method !== 'GET') return page(405, html`<h1>Not allowed</h1>`);
  if (intent.status !== 'requires_action') return page(200, html`<h1>Nothing to do</h1><p>This payment is <b>${intent.status}</b>.</p>`);
  return page(200, html`<h1>Your bank asks</h1>
<p>Pay <b>${money(intent.amount, intent.currency)}</b>? This page stands in for the bank's; no money moves.</p>
<form method="post"><button name="outcome" value="succeed">Approve</button> <button name="outcome" value="fail">Refuse</button></form>`);
}

function redirect(intent: Intent, returnUrl: string, succeeded: boolean): Reply {
  const target = new URL(returnUrl);
  target.searchParams.set('payment_intent', intent.id);
  target.searchParams.set('payment_intent_client_secret', intent.secret);
  target.searchParams.set('redirect_status', succeeded ? 'succeeded' : 'failed');
  return { status: 303, headers: { location: target.href, 'referrer-policy': 'no-referrer' } };
}

function page(status: number, content: Html): Reply {
  const body = html`<!doctype html><html lang="en"><meta charset="utf-8"><title>Bank (sandbox)</title>
<style>body{font:16px/1.5 system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}button{font:inherit;padding:.4rem 1rem}</style>
${content}</html>`;
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
    },
    body: body.text,
  };
}
