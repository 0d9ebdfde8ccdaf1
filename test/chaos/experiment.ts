// What an experiment is: a fault, under load, and the proof that it happened.
import type { Clients } from './buyers/clients.ts';
import type { Journal } from './buyers/journal.ts';
import type { Load, LoadOptions } from './buyers/load.ts';
import type { AuditRow } from './checks/audit.ts';
import type { Form, Lengths } from './form.ts';
import type { Random } from './random.ts';
import type { DiskKind } from './system/disk.ts';
import type { System } from './system/system.ts';

export type Context = {
  system: System;
  admin: Clients;
  load: Load;
  journal: Journal;
  random: Random;
  /** Names of this run are its own. */
  name: string;
  skus: readonly string[];
  /** Orders of the usual load; none when the experiment makes its own. */
  perSecond: number;
  form: Form;
  /** The length for this form. */
  by: (lengths: Lengths) => number;
  say: (line: string) => void;
};

/** How often the fault was seen to happen; 0 is no test. */
export type Proof = { count: number; what: string };
/** A promise of this experiment alone that was broken, under the invariant it belongs to. */
export type Broken = { invariant: string; what: string; problem: string };

export type Experiment = {
  id: string;
  title: string;
  /** Environment of the system; experiments with the same one share a system. */
  env?: Record<string, string>;
  /** The broker's store lies on a disk of its own, which only root can mount; then the system is this experiment's alone. */
  disk?: DiskKind;
  /** Order reaches inventory through a cable that can be pulled, which only root can lay. */
  cable?: boolean;
  /** Orders per second while the fault is there, if not the usual; 0: the experiment makes its own load. */
  perSecond?: number;
  /** Another share of declined, cancelled and refunded orders, or more patient buyers. */
  mix?: Pick<LoadOptions, 'declined' | 'cancelled' | 'refunded' | 'repeats' | 'waitsForReady'>;
  /** Units of each of its products. */
  stock?: number;
  /** Brings the fault about, and ends it, while the load runs. */
  run(context: Context): Promise<Proof>;
  /** What else must hold after all has settled. */
  check?(context: Context): Promise<Broken[]>;
  /** Invariants that it computes itself, with how much was looked at. */
  rows?(context: Context): Promise<AuditRow[]>;
  /** Takes out of the audit's answer what the experiment itself has put into the streams. */
  judge?(row: AuditRow): AuditRow;
  /** Dead letters that the experiment itself has caused are its to resolve before the audit. */
  tidy?(context: Context): Promise<void>;
  settleLimitMs?: number;
};
