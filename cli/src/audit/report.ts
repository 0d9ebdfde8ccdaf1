// What an audit answers: one row per invariant. A tally counts while the checks run.

export const INVARIANTS = {
  I1: 'no oversell, no stuck hold',
  I2: 'stock ledger = levels',
  I3: 'money per order, by the provider',
  I4: 'orders = payments = provider',
  I5: 'no acknowledged order lost',
  I6: 'one order per request id',
  I7: 'nothing past its deadline',
  I8: 'paid: confirmed or refunded',
  I9: 'one message per order, kind, channel',
  I10: 'outbox drained, nothing invented',
  I11: 'every event handled or dead letter',
  I12: 'versions without gaps',
  I13: 'only legal transitions',
  I14: 'dead letters accounted for',
} as const;

export type Invariant = keyof typeof INVARIANTS;
export const SERVICES = ['order', 'product', 'inventory', 'payment', 'notification'] as const;
export type Service = (typeof SERVICES)[number];
/** Where facts come from: the five databases, the payment provider, the ledgers of mails and text messages, the streams, a load generator's journal. */
export type Source = Service | 'provider' | 'mails' | 'texts' | 'streams' | 'journal';

/** `what` is an order, sku, event … `times` more than 1: so many alike, of which this is one. */
export type Violation = { invariant: Invariant; what: string; problem: string; times?: number };
export type Row = {
  invariant: Invariant;
  title: string;
  checked: number;
  violations: number;
  first: { what: string; problem: string }[];
  /** Sources that this invariant needs and that were away: it was checked in part, or not at all. */
  without: Source[];
  notes: string[];
};
export type Report = {
  startTime: string;
  tookMs: number;
  since?: string;
  violations: number;
  rows: Row[];
  away: { source: Source; error: string }[];
};

/** Offenders named per invariant; more helps nobody, and the count says how many there are. */
const MAX_NAMED = 10;

type Counted = Pick<Row, 'checked' | 'violations' | 'first' | 'notes'>;
export type Tally = {
  checked(invariant: Invariant, n?: number): void;
  violated(violation: Violation): void;
  note(invariant: Invariant, text: string): void;
  add(other: Tally): void;
  rows: ReadonlyMap<Invariant, Counted>;
};

export function createTally(): Tally {
  const rows = new Map<Invariant, Counted>();
  const row = (invariant: Invariant) => {
    const known: Counted = rows.get(invariant) ?? { checked: 0, violations: 0, first: [], notes: [] };
    rows.set(invariant, known);
    return known;
  };
  return {
    checked(invariant, n = 1) {
      row(invariant).checked += n;
    },
    violated({ invariant, what, problem, times = 1 }) {
      const found = row(invariant);
      found.violations += times;
      if (found.first.length < MAX_NAMED) found.first.push({ what, problem });
    },
    note(invariant, text) {
      row(invariant).notes.push(text);
    },
    add(other) {
      for (const [invariant, { checked, violations, first, notes }] of other.rows) {
        const into = row(invariant);
        into.checked += checked;
        into.violations += violations;
        into.first.push(...first.slice(0, MAX_NAMED - into.first.length));
        into.notes.push(...notes);
      }
    },
    rows,
  };
}

/** What each invariant is computed from. */
const NEEDS: Record<Invariant, readonly Source[]> = {
  I1: ['inventory', 'order'],
  I2: ['inventory'],
  I3: ['order', 'payment', 'provider'],
  I4: ['order', 'payment', 'provider'],
  I5: ['order', 'journal'],
  I6: ['order', 'journal'],
  I7: ['order', 'payment', 'inventory', 'notification'],
  I8: ['order', 'payment', 'provider'],
  I9: ['order', 'payment', 'notification', 'mails', 'texts'],
  I10: [...SERVICES, 'streams'],
  I11: SERVICES,
  I12: SERVICES,
  I13: ['order', 'payment', 'inventory'],
  I14: SERVICES,
};

export function rowsOf(tally: Tally, away: ReadonlyMap<Source, string>): Row[] {
  const invariants = Object.keys(INVARIANTS) as Invariant[];
  return invariants.map((invariant) => ({
    invariant,
    title: INVARIANTS[invariant],
    ...(tally.rows.get(invariant) ?? { checked: 0, violations: 0, first: [], notes: [] }),
    without: NEEDS[invariant].filter((source) => away.has(source)),
  }));
}
