// The demo catalogue: the same products for the same number, so that seeding twice changes nothing.
export type DemoProduct = {
  product: { sku: string; name: string; description: string; price: { currencyCode: string; minorUnits: string }; attributes: Record<string, string> };
  initialStock: number;
  lowStockThreshold: number;
  requestId: string;
};

type Row = [sku: string, name: string, cents: number, stock: number, threshold: number, description: string];

export const DEFAULT_SEED = 12;

// The roaster is scarce and the last record nearly gone, so that selling out and low stock can be seen by hand.
const ROWS: Row[] = [
  ['COFFEE-HOUSE-1KG', 'House Blend, 1 kg', 1890, 400, 40, 'Brazil and Ethiopia, medium roast, whole beans.'],
  ['COFFEE-DECAF-500G', 'Decaf Huila, 500 g', 1350, 180, 25, 'Colombia, sugarcane process, whole beans.'],
  ['FILTER-V60-02', 'Pour-over Dripper, size 02', 2450, 120, 15, 'White porcelain, for one to four cups.'],
  ['PAPER-V60-100', 'Filter Papers, pack of 100', 590, 900, 100, 'Unbleached, size 02.'],
  ['KETTLE-GOOSE-1L', 'Gooseneck Kettle, 1 l', 6900, 60, 8, 'Brushed steel, with a thermometer in the lid.'],
  ['GRINDER-HAND', 'Hand Grinder', 8900, 45, 6, 'Steel burrs, 24 clicks, 30 g hopper.'],
  ['SCALE-0.1G', 'Brew Scale', 4200, 75, 10, 'Reads 0.1 g, with a timer; two AAA batteries.'],
  ['MUG-STONE-300', 'Stoneware Mug, 300 ml', 1650, 240, 24, 'Glazed inside, rough outside. Dishwasher safe.'],
  ['CARAFE-GLASS-600', 'Glass Carafe, 600 ml', 2200, 90, 12, 'Borosilicate, with a cork collar.'],
  ['ROASTER-HOME', 'Home Roaster', 32900, 5, 2, '250 g a batch, with a chaff collector.'],
  ['BEANS-GREEN-1KG', 'Green Beans Sidamo, 1 kg', 1290, 150, 20, 'For your own roasting.'],
  ['TOWEL-BAR-3', 'Bar Towels, set of three', 1490, 20, 18, 'Microfibre, 40 × 40 cm.'],
];

/** The first `count` demo products; beyond the hand-written ones they are numbered. */
export function demoCatalogue(count: number): DemoProduct[] {
  return Array.from({ length: count }, (_, index) => {
    const row = ROWS[index % ROWS.length];
    if (!row) throw new Error('the demo catalogue is empty');
    const round = Math.floor(index / ROWS.length);
    const [sku, name, cents, initialStock, lowStockThreshold, description] = row;
    const ownSku = round === 0 ? sku : `${sku}.${round + 1}`;
    return {
      product: {
        sku: ownSku,
        name: round === 0 ? name : `${name} (no. ${round + 1})`,
        description,
        price: { currencyCode: 'EUR', minorUnits: String(cents + round * 10) },
        attributes: { range: 'coffee' },
      },
      initialStock,
      lowStockThreshold,
      requestId: `seed-${ownSku}`,
    };
  });
}
