// Endpoints of /v1/charges: reading only, charges are made by intents.
import type { Charge } from '../store/records.ts';
import type { Call, Result } from './call.ts';
import { missing } from './errors.ts';
import { listPage } from './list.ts';
import { filledText, onlyKnown } from './params.ts';
import { renderCharge } from './render.ts';

export function retrieve(call: Call): Result {
  onlyKnown(call.params, new Set(['expand']));
  const charge = call.store.charges.get(call.id);
  if (!charge) throw missing('charge', call.id.slice(0, 100), 'id', 404);
  return { object: renderCharge(charge) };
}

export function list(call: Call): Result {
  onlyKnown(call.params, new Set(['created', 'customer', 'ending_before', 'expand', 'limit', 'payment_intent', 'starting_after', 'transfer_group']));
  const { charges, intents } = call.store;
  const intent = filledText(call.params, 'payment_intent');
  return {
    object: listPage(call, charges, {
      param: 'charge',
      render: (charge: Charge) => renderCharge(charge),
      ...(intent !== undefined && { numbers: (intents.get(intent)?.charges ?? []).map((id) => charges.numberOf(id)) }),
    }),
  };
}
