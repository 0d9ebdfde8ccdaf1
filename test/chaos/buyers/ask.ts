// One HTTP/1 request with exactly these header lines, also such as no client library sends.
import { type IncomingHttpHeaders, request } from 'node:http';

/** Names and values in turn, as they go over the wire. `status` is 0 when the connection just ended. */
export async function ask(url: string, method: string, lines: string[], body = ''): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
  const headers = ['host', new URL(url).host, 'content-length', String(Buffer.byteLength(body)), ...lines];
  return new Promise((resolve) => {
    const nothing = (): void => resolve({ status: 0, headers: {}, body: '' });
    request(url, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part)).on('error', nothing).on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    }).on('error', nothing).end(body);
  });
}
