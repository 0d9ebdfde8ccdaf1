// One POST to a webhook endpoint; answers its status, or 0 when there was none.
import { Agent, request } from 'undici';
import type { WebhookRequest } from './source.ts';

const ANSWER_TIMEOUT_MS = 10_000;

export interface Sender {
  send(request: WebhookRequest): Promise<number>;
  close(): void;
}

/** `connections`: to one endpoint; what is sent beyond them waits for one. undici, because node:http takes half as much again for a request. */
export function createSender(connections: number): Sender {
  const dispatcher = new Agent({ connections, headersTimeout: ANSWER_TIMEOUT_MS, bodyTimeout: ANSWER_TIMEOUT_MS });

  return {
    async send({ url, headers, body }) {
      try {
        const response = await request(url, { dispatcher, method: 'POST', headers, body });
        await response.body.dump();
        return response.statusCode;
      } catch {
        return 0;
      }
    },
    close: () => void dispatcher.destroy(),
  };
}
