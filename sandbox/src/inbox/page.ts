// The inbox page. Its script builds everything with textContent, so nothing that a mail or an order says can become HTML.
export const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export const INBOX_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sandbox inbox</title>
<style>
  :root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 60%, transparent); }
  body { font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
  header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; }
  h1 { font-size: 1.2rem; margin: 0; } h2 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
  nav button { font: inherit; border: 1px solid var(--line); background: none; color: inherit; border-radius: 1rem; padding: .15rem .8rem; cursor: pointer; }
  nav button[aria-pressed=true] { background: #2563eb; color: #fff; border-color: #2563eb; }
  main { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
  main.reading { grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); }
  table { border-collapse: collapse; width: 100%; table-layout: fixed; }
  td, th { text-align: left; padding: .3rem .5rem; border-bottom: 1px solid var(--line); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  th { color: var(--soft); font-weight: 500; } td.wrap { white-space: pre-wrap; }
  tr.open { cursor: pointer; } tr.open:hover, tr.chosen { background: color-mix(in srgb, #2563eb 12%, transparent); }
  iframe { width: 100%; height: 80vh; border: 1px solid var(--line); background: #fff; }
  .warn { color: #b45309; } .empty, #state { color: var(--soft); }
  @media (max-width: 60rem) { main.reading { grid-template-columns: minmax(0, 1fr); } }
</style>
<header><h1>Sandbox inbox</h1><nav></nav><span id="state" role="status">loading …</span></header>
<p id="trouble" class="warn" hidden></p>
<main><section id="list"></section><section id="reader" hidden><p><button id="close">Close</button></p><iframe sandbox title="Mail" referrerpolicy="no-referrer"></iframe></section></main>
<noscript><p>The inbox needs JavaScript. The same records: <a href="/ledger/postmark">mails</a>, <a href="/ledger/twilio">texts</a>, <a href="/ledger/stripe">money</a>.</p></noscript>
<script>
'use strict';
const REFRESH_MS = 2000;
const element = (name, text, more) => Object.assign(document.createElement(name), { textContent: text ?? '' }, more);
const time = (at) => new Date(at).toLocaleTimeString();
const money = (row) => {
  try { const format = new Intl.NumberFormat('en', { style: 'currency', currency: row.currency.toUpperCase() });
    return format.format(row.amount / 10 ** format.resolvedOptions().maximumFractionDigits); } catch { return row.amount + ' ' + row.currency; }
};
const TABS = {
  mails: { label: 'Mails', head: ['Time', 'To', 'Subject', 'Kind', 'Order'], row: (m) => [time(m.at), m.to, (m.bounce ? '[' + m.bounce + '] ' : '') + m.subject, m.kind, m.order] },
  texts: { label: 'Text messages', head: ['Time', 'To', 'Text', 'Kind', 'Order'], row: (t) => [time(t.at), t.to, t.body, t.kind, t.order] },
  intents: { label: 'Payments', head: ['Time', 'Intent', 'Amount', 'State', 'Order'], row: (i) => [time(i.at), i.id, money(i), i.status + (i.error ? ' (' + i.error + ')' : ''), i.order] },
  faults: { label: 'Faults', head: ['Provider', 'Operation', 'Effect', 'Left', 'Hits'],
    row: (f) => [f.provider, f.operation, f.effect + (f.effect === 'error' ? ' ' + f.status : '') + (f.delay_ms ? ' ' + f.delay_ms + ' ms' : '') + (f.probability < 1 ? ' p=' + f.probability : ''), f.times === null ? 'until reset' : f.times - f.hits, f.hits] },
};
let tab = 'mails', chosen = null, data = null;
const nav = document.querySelector('nav'), list = document.querySelector('#list'), reader = document.querySelector('#reader');
for (const [name, { label }] of Object.entries(TABS)) nav.append(element('button', label, { onclick: () => { tab = name; draw(); }, id: 'tab-' + name }), ' ');
document.querySelector('#close').onclick = () => { chosen = null; draw(); };
function draw() {
  if (!data) return;
  for (const name of Object.keys(TABS)) {
    const button = document.querySelector('#tab-' + name);
    button.setAttribute('aria-pressed', name === tab);
    button.textContent = TABS[name].label + ' ' + (data.counts[name] ?? data[name].length);
  }
  const table = element('table'), head = element('tr');
  head.append(...TABS[tab].head.map((text) => element('th', text)));
  table.append(head);
  for (const item of data[tab]) {
    const row = element('tr');
    row.append(...TABS[tab].row(item).map((text, i) => element('td', text ?? '', { title: String(text ?? ''), className: tab === 'texts' && i === 2 ? 'wrap' : '' })));
    if (tab === 'mails') { row.className = item.id === chosen ? 'open chosen' : 'open'; row.onclick = () => { chosen = item.id; draw(); }; }
    table.append(row);
  }
  list.replaceChildren(data[tab].length ? table : element('p', 'Nothing here yet.', { className: 'empty' }));
  reader.hidden = !chosen;
  document.querySelector('main').className = chosen ? 'reading' : '';
  const frame = reader.querySelector('iframe'), source = chosen ? '/inbox/mail/' + chosen : 'about:blank';
  if (frame.dataset.source !== source) { frame.dataset.source = source; frame.src = source; }
  const trouble = document.querySelector('#trouble'), hooks = data.webhooks, notes = [];
  if (data.faults.length) notes.push(data.faults.length + ' fault(s) active');
  if (hooks.mode !== 'normal') notes.push('webhooks: ' + hooks.mode);
  if (hooks.waiting) notes.push(hooks.waiting + ' webhook(s) waiting');
  trouble.hidden = notes.length === 0;
  trouble.textContent = notes.join(' · ');
}
async function refresh() {
  const state = document.querySelector('#state');
  try {
    data = await (await fetch('/inbox/data')).json();
    state.textContent = 'refreshes by itself; the newest 50 of each are shown';
    draw();
  } catch { state.textContent = 'the sandbox does not answer; trying again'; }
  setTimeout(refresh, document.hidden ? 5 * REFRESH_MS : REFRESH_MS);
}
refresh();
</script>
</html>
`;
