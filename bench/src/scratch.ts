// Databases of the benchmark's own, made as the services' are: what is measured beside a system must not touch its data.
import { prepareDatabase } from '../../local/src/databases.ts';

export type ScratchService = 'order' | 'inventory';
const SERVICES: ScratchService[] = ['order', 'inventory'];
const LOGIN = { username: 'bench', password: 'scratch' };

export async function makeScratch(adminUrl: string): Promise<void> {
  for (const service of SERVICES) await prepareDatabase(adminUrl, service, scratchUrl(adminUrl, service));
}

export function scratchUrl(adminUrl: string, service: ScratchService): string {
  return Object.assign(new URL(adminUrl), LOGIN, { pathname: `/bench_${service}` }).href;
}
