// All invariants over the whole system, after it has settled: by the auditor that operators have.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { audit } from '../../../cli/src/audit/audit.ts';
import type { Entry } from '../buyers/journal.ts';
import type { System } from '../system/system.ts';

export type AuditRow = { invariant: string; checked: number; violations: number; first: { what: string; problem: string }[] };

/** Throws when something could not be read: what was not audited was not tested. */
export async function auditSystem({ runtime, home }: System, entries: readonly Entry[]): Promise<AuditRow[]> {
  const journal = path.join(home, 'placed.jsonl');
  const placed = entries.filter(({ request }) => request.do === 'place');
  writeFileSync(journal, placed.map((entry) => `${JSON.stringify({ ...entry, request: undefined })}\n`).join(''));
  const report = await audit({ postgres: runtime.postgres, nats: runtime.nats, sandbox: runtime.sandbox, journal }, { graceMs: 0 });
  if (report.away.length > 0) throw new Error(`the audit could not read ${report.away.map(({ source, error }) => `${source} (${error})`).join(', ')}`);
  return report.rows.map(({ invariant, checked, violations, first }) => ({ invariant, checked, violations, first }));
}
