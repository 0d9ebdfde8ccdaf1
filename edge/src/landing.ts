// GET /: where somebody who opens the address in a browser finds their way.

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

export const LANDING_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-cache',
};

export function landingPage(services: string[]): string {
  const items = services.map((name) => `    <li><code>${escape(name)}</code></li>`).join('\n');
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Millrace</title></head>
<body>
  <h1>Millrace</h1>
  <p>An order backend. This port speaks Connect, gRPC and gRPC-Web, over HTTP/1.1 and HTTP/2 without TLS.</p>
  <ul>
    <li><a href="/healthz">/healthz</a>: is the edge alive?</li>
    <li><a href="/readyz">/readyz</a>: may all services serve?</li>
    <li><a href="/metrics">/metrics</a>: numbers for Prometheus</li>
  </ul>
  <h2>Services</h2>
  <ul>
${items}
  </ul>
  <p>They describe themselves by reflection: <code>buf curl --list-services --protocol grpc --http2-prior-knowledge http://this-address</code>. Calls need a header <code>authorization: Bearer …</code>.</p>
</body>
</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character] ?? character);
}
