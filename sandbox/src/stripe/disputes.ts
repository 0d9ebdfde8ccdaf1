// Endpoints of /v1/disputes. As in Stripe's test mode, submitting the evidence `winning_evidence` or `losing_evidence`
// decides a dispute; closing it accepts the loss.
import type { Dispute } from '../store/records.ts';
import { type Act, type Call, type Change, type Result, tell } from './call.ts';
import { badRequest, missing } from './errors.ts';
import { listPage } from './list.ts';
import { bool, filledText, hash, onlyKnown, text } from './params.ts';
import { renderDispute } from './render.ts';

export function retrieve(call: Call): Result {
  onlyKnown(call.params, new Set(['expand']));
  return { object: renderDispute(find(call)) };
}

export function update(call: Call): Result {
  onlyKnown(call.params, new Set(['evidence', 'expand', 'metadata', 'submit']));
  const dispute = find(call);
  const evidence = text(hash(call.params, 'evidence') ?? {}, 'uncategorized_text');
  const submit = bool(call.params, 'submit') ?? true;
  if (dispute.status === 'won' || dispute.status === 'lost') throw badRequest('This dispute is already closed');
  if (submit && evidence === 'winning_evidence') return { change: decide(call, dispute, 'won'), status: 200, on: 'dispute' };
  if (submit && evidence === 'losing_evidence') return { change: decide(call, dispute, 'lost'), status: 200, on: 'dispute' };
  return { change: { dispute: { ...dispute, status: submit && evidence ? 'under_review' : dispute.status } }, status: 200, on: 'dispute' };
}

export function close(call: Call): Result {
  onlyKnown(call.params, new Set(['expand']));
  const dispute = find(call);
  if (dispute.status === 'won' || dispute.status === 'lost') throw badRequest('This dispute is already closed');
  return { change: decide(call, dispute, 'lost'), status: 200, on: 'dispute' };
}

export function list(call: Call): Result {
  onlyKnown(call.params, new Set(['charge', 'created', 'ending_before', 'expand', 'limit', 'payment_intent', 'starting_after']));
  const charge = filledText(call.params, 'charge');
  const intent = filledText(call.params, 'payment_intent');
  return {
    object: listPage(call, call.store.disputes, {
      param: 'dispute',
      render: renderDispute,
      keep: (dispute) => (charge === undefined || dispute.charge === charge) && (intent === undefined || dispute.intent === intent),
    }),
  };
}

function decide(act: Act, dispute: Dispute, status: 'won' | 'lost'): Change {
  return { dispute: { ...dispute, status }, events: [tell(act, 'charge.dispute.closed', 'dispute')] };
}

function find(call: Call): Dispute {
  const dispute = call.store.disputes.get(call.id);
  if (!dispute) throw missing('dispute', call.id.slice(0, 100), 'id', 404);
  return dispute;
}
