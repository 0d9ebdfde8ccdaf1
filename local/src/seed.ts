// Fills the demo catalogue through the public port, as an admin would, and waits until inventory knows the stock.
import { demoCatalogue } from './catalogue.ts';
import { until } from './processes.ts';

const AT_ONCE = 16;
const CALL_TIMEOUT_MS = 10_000;
const STOCK_DEADLINE_MS = 20_000;

/** How many products were new. Throws when a product is refused for another reason than being there. */
export async function seedCatalogue(edge: string, adminToken: string, count: number): Promise<number> {
  const waiting = demoCatalogue(count);
  const last = waiting.at(-1)?.product.sku;
  let created = 0;
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { status, body } = await call(edge, adminToken, 'millrace.product.v1.ProductService/CreateProduct', next);
      if (status === 200) created++;
      else if (!body.includes('already_exists')) throw new Error(`The demo product ${next.product.sku} was refused: ${body}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (last && !(await until(() => hasStock(edge, adminToken, last), STOCK_DEADLINE_MS))) throw new Error(`Inventory does not know the demo product ${last} after ${STOCK_DEADLINE_MS / 1000} s.`);
  return created;
}

async function hasStock(edge: string, token: string, sku: string): Promise<boolean> {
  return (await call(edge, token, 'millrace.inventory.v1.InventoryService/GetStock', { sku })).status === 200;
}

async function call(edge: string, token: string, method: string, message: object): Promise<{ status: number; body: string }> {
  const response = await fetch(`${edge}/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  });
  return { status: response.status, body: await response.text() };
}
