// What a product is and how it may change. Pure: no clock, no database, no wire.

export type ProductState = 'ACTIVE' | 'ARCHIVED';
export type Price = { currencyCode: string; minorUnits: bigint };
export type Details = { name: string; description: string; price: Price; attributes: Record<string, string>; imageUrl: string };
export type Product = Details & { sku: string; state: ProductState; revision: number; createTime: Date; updateTime: Date };
export type Change = { product: Product; changedFields: string[] };

/** Where ACTIVE may go; nothing leaves ARCHIVED. */
const NEXT: Record<ProductState, readonly ProductState[]> = { ACTIVE: ['ARCHIVED'], ARCHIVED: [] };

/** What may be changed, by the name that masks and events use. */
const FIELDS = new Map<string, keyof Details>([
  ['name', 'name'],
  ['description', 'description'],
  ['price', 'price'],
  ['attributes', 'attributes'],
  ['image_url', 'imageUrl'],
]);

export function newProduct(sku: string, details: Details, now: Date): Product {
  return { sku, ...details, state: 'ACTIVE', revision: 1, createTime: now, updateTime: now };
}

/** Takes over what differs; without a difference it answers the same product, with the same revision. */
export function changeProduct(product: Product, changes: Partial<Details>, revision: number, now: Date): Change {
  if (product.state === 'ARCHIVED') throw new ProductArchivedError(product.sku);
  if (revision !== 0 && revision !== product.revision) throw new RevisionConflictError(product);
  const changedFields = [...FIELDS].filter(([, key]) => changes[key] !== undefined && !same(changes[key], product[key])).map(([field]) => field);
  if (changedFields.length === 0) return { product, changedFields };
  return { product: { ...product, ...changes, revision: product.revision + 1, updateTime: now }, changedFields };
}

/** Archiving what is archived changes nothing. */
export function archiveProduct(product: Product, now: Date): Product {
  if (!NEXT[product.state].includes('ARCHIVED')) return product;
  return { ...product, state: 'ARCHIVED', revision: product.revision + 1, updateTime: now };
}

/** What was sent for a product, all of it. */
export function completeDetails({ name, price, description = '', attributes = {}, imageUrl = '' }: Partial<Details>): Details {
  if (!name) throw new InvalidFieldError('name must be set');
  if (price === undefined) throw new InvalidFieldError('price must be set');
  return { name, description, price, attributes, imageUrl };
}

/** The masked part of what was sent. */
export function maskedChanges(sent: Partial<Details>, mask: readonly string[]): Partial<Details> {
  if (mask.length === 0) throw new InvalidUpdateMaskError('the update mask names no field');
  const keys = mask.map((path) => {
    const key = FIELDS.get(path);
    if (key === undefined) throw new InvalidUpdateMaskError(`"${path}" does not exist or can't be changed; allowed are ${[...FIELDS.keys()].join(', ')}`);
    return key;
  });
  if (keys.includes('name') && !sent.name) throw new InvalidFieldError('name must be set');
  if (keys.includes('price') && sent.price === undefined) throw new InvalidFieldError('price must be set');
  return Object.fromEntries(keys.map((key) => [key, sent[key]]));
}

function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return JSON.stringify(Object.entries(value).map(([key, inner]) => [key, String(inner)]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1)));
}

export class ProductArchivedError extends Error {
  readonly reason = 'PRODUCT_ARCHIVED';
  readonly metadata: Record<string, string>;
  constructor(sku: string) {
    super(`product ${sku} is archived`);
    this.metadata = { sku };
  }
}

export class SkuExistsError extends Error {
  readonly reason = 'SKU_EXISTS';
  readonly metadata: Record<string, string>;
  constructor(sku: string) {
    super(`there is a product ${sku} already, perhaps an archived one`);
    this.metadata = { sku };
  }
}

export class RevisionConflictError extends Error {
  readonly reason = 'REVISION_CONFLICT';
  readonly metadata: Record<string, string>;
  constructor({ sku, revision }: Product) {
    super(`product ${sku} was changed since: its revision is ${revision}`);
    this.metadata = { revision: String(revision) };
  }
}

export class InvalidUpdateMaskError extends Error {
  readonly reason = 'INVALID_UPDATE_MASK';
}

export class InvalidFieldError extends Error {
  readonly reason = 'INVALID_FIELD';
}

export class ProductNotFoundError extends Error {
  readonly reason = 'NOT_FOUND';
  constructor(sku: string) {
    super(`there is no product ${sku}`);
  }
}
