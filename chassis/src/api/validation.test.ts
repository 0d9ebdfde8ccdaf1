import { create } from '@bufbuild/protobuf';
import { InventoryService } from '@millrace/gen/millrace/inventory/v1/inventory_pb.js';
import { NotificationService } from '@millrace/gen/millrace/notification/v1/notification_pb.js';
import { DeadLetterService } from '@millrace/gen/millrace/ops/v1/dead_letter_pb.js';
import { OrderService } from '@millrace/gen/millrace/order/v1/order_pb.js';
import { PaymentService } from '@millrace/gen/millrace/payment/v1/payment_pb.js';
import { CreateProductRequestSchema, ProductService } from '@millrace/gen/millrace/product/v1/product_pb.js';
import { describe, expect, it } from 'vitest';
import { errorInfo, toConnectError } from './errors.ts';
import { validate, warmUpValidation } from './validation.ts';

const CONTRACTS = [InventoryService, NotificationService, DeadLetterService, OrderService, PaymentService, ProductService];

describe('the rules in the contracts', () => {
  it.each(CONTRACTS)('of $typeName compile, so that no request can stumble over them', ({ methods }) => {
    const outcomes = methods.map(({ input }) => errorInfo(failure(() => validate(input, create(input))))?.reason ?? 'valid');
    expect([...new Set(outcomes)].filter((outcome) => outcome !== 'valid' && outcome !== 'INVALID_FIELD')).toEqual([]);
    expect(outcomes.length).toBeGreaterThan(0);
  });

  it('take almost no time once they were used', () => {
    warmUpValidation(CONTRACTS);
    const started = performance.now();
    warmUpValidation(CONTRACTS);
    expect(performance.now() - started).toBeLessThan(100);
  });
});

it('a message that breaks several rules names the first three and attaches all', () => {
  const message = create(CreateProductRequestSchema, { product: { sku: '!', name: 'x'.repeat(201), imageUrl: 'ftp://x' }, initialStock: -1, lowStockThreshold: -1 });
  const error = toConnectError(failure(() => validate(CreateProductRequestSchema, message)));
  expect(errorInfo(error)).toMatchObject({ reason: 'INVALID_FIELD' });
  expect(error.rawMessage.split('; ')).toHaveLength(3);
  expect(error.rawMessage).toMatch(/ and \d+ more$/);
  expect(error.details).toHaveLength(2);
});

function failure(work: () => void): unknown {
  try {
    return work();
  } catch (error) {
    return error instanceof Error && 'reason' in error ? error : Object.assign(new Error('broken rule'), { reason: 'NOT_FOUND' });
  }
}
