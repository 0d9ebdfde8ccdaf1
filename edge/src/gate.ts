// Every request that the server doesn't answer itself, by its path.
import { type CallDeps, serveCall, unimplemented } from './calls.ts';
import { type Origin, applyCors } from './cors.ts';
import { type Req, type Res, send } from './http.ts';
import { LANDING_HEADERS, landingPage } from './landing.ts';
import { ACCEPTED, speechOf } from './protocol.ts';
import { refuseCall } from './refusal.ts';
import { type Rpc, SERVICES, WEBHOOKS } from './routes.ts';
import { serveWebhook } from './webhooks.ts';

export type GateDeps = CallDeps & { rpcs: ReadonlyMap<string, Rpc>; origins: readonly Origin[]; measure: Measure };
/** Told about every request: what it was for, what became of it, and how long that took. */
export type Measure = (target: string, outcome: string, ms: number) => void;

export function createGate(deps: GateDeps): (req: Req, res: Res) => void {
  const landing = landingPage(SERVICES.map((service) => service.typeName));

  return (req, res) => {
    const url = req.url ?? '';
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    const rpc = deps.rpcs.get(path);
    const webhook = Object.hasOwn(WEBHOOKS, path) ? WEBHOOKS[path] : undefined;

    const serve = async (): Promise<[target: string, outcome: string]> => {
      if (webhook) return [path, await serveWebhook(req, res, deps.neighbours[webhook], deps.bodies)];
      if (applyCors(deps.origins, req, res)) return ['preflight', '204'];
      const speech = speechOf(req.method ?? '', req.headers['content-type'], mark < 0 ? '' : url.slice(mark + 1));
      if (rpc && speech && (req.method === 'POST' || rpc.get)) return [path, await serveCall(deps, req, res, rpc, speech)];
      if (rpc) return [path, refuseShape(req, res, rpc)];
      if (path === '/' && (req.method === 'GET' || req.method === 'HEAD')) return ['/', answer(req, res, 200, landing, LANDING_HEADERS)];
      if (speech) {
        refuseCall(req, res, speech, unimplemented(path));
        return ['unknown', 'Unimplemented'];
      }
      return ['unknown', answer(req, res, 404, 'there is nothing here\n')];
    };

    const started = performance.now();
    serve().then(
      ([target, outcome]) => deps.measure(target, outcome, performance.now() - started),
      (error: unknown) => {
        deps.log.error({ err: error, path }, 'a request failed at the edge');
        if (!res.headersSent) answer(req, res, 500, 'internal error\n');
        else res.end();
      },
    );
  };
}

// A path of ours in a way that none of the three protocols has.
function refuseShape(req: Req, res: Res, rpc: Rpc): string {
  if (req.method === 'POST') return answer(req, res, 415, 'this content type is none of Connect, gRPC and gRPC-Web\n', { 'accept-post': ACCEPTED });
  if (req.method === 'GET' && rpc.get) return answer(req, res, 400, 'a GET needs the parameters encoding and message\n');
  return answer(req, res, 405, 'calls are made with POST\n', { allow: rpc.get ? 'POST, GET' : 'POST' });
}

function answer(req: Req, res: Res, status: number, text: string, headers: Record<string, string> = {}): string {
  send(req, res, status, { 'content-type': 'text/plain; charset=utf-8', ...headers }, req.method === 'HEAD' ? undefined : text);
  return String(status);
}
