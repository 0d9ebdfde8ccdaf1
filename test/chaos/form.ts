// How long a run takes. Every form makes the same faults and computes the same invariants; the brief one leaves out what only time can show.

export const FORMS = ['brief', 'short', 'full'] as const;
export type Form = (typeof FORMS)[number];

/** A length or a number for each form. */
export type Lengths = Record<Form, number>;

export const FORM_TITLES: Record<Form, string> = {
  brief: 'about ten seconds each, for many seeds: goodput is not measured',
  short: 'half a minute each',
  full: 'faults as long as they are meant to be',
};
