// One POST to a webhook endpoint; answers its status, or 0 when there was none.
import http from 'node:http';
import https from 'node:https';
import { urlToHttpOptions } from 'node:url';
import type { WebhookRequest } from './source.ts';

const ANSWER_TIMEOUT_MS = 10_000;
const MAX_TARGETS = 100; // addresses kept read; Twilio's carry the message's id and differ each time

export interface Sender {
  send(request: WebhookRequest): Promise<number>;
  close(): void;
}

/** `maxSockets`: to one endpoint; what is sent beyond it waits for one. */
export function createSender(maxSockets: number): Sender {
  const agents = {
    'http:': new http.Agent({ keepAlive: true, maxSockets }),
    'https:': new https.Agent({ keepAlive: true, maxSockets }),
  };
  const targets = new Map<string, http.ClientRequestArgs>();

  const targetOf = (url: string): http.ClientRequestArgs => {
    const known = targets.get(url);
    if (known) return known;
    const target = urlToHttpOptions(new URL(url));
    if (targets.size >= MAX_TARGETS) targets.clear();
    targets.set(url, target);
    return target;
  };

  return {
    send({ url, headers, body }) {
      return new Promise((resolve) => {
        let status = 0;
        try {
          const target = targetOf(url);
          const secure = target.protocol === 'https:';
          const request = (secure ? https : http).request(
            { ...target, method: 'POST', agent: agents[secure ? 'https:' : 'http:'], timeout: ANSWER_TIMEOUT_MS, headers: { ...headers, 'content-length': Buffer.byteLength(body) } },
            (response) => {
              status = response.statusCode ?? 0;
              response.resume();
            },
          );
          request.once('timeout', () => request.destroy());
          request.once('error', () => resolve(0));
          request.once('close', () => resolve(status));
          request.end(body);
        } catch {
          resolve(0);
        }
      });
    },
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}
