// Five services, their databases, the broker, the providers and the buyers in one process, moved by hand. Nothing here decides
// anything: it carries facts from one service's decision to the next, and lets accidents happen in between.
import { createCatalogue, createInventory } from './inventory.ts';
import { createNotification } from './notification.ts';
import { createOrders } from './orders.ts';
import { createPayment, STALE_MS } from './payment.ts';
import { createProvider } from './provider.ts';
import { RULES, type Rules } from './rules.ts';
import { ACCIDENTS, type Accident, createStage, describe, NEVER, type Scene, type Service, SERVICES, type SimEvent } from './stage.ts';
import { type Dice, throwing } from './dice.ts';

const LISTENERS: Record<SimEvent['type'], Service[]> = {
  product_created: ['inventory'], product_updated: ['inventory'], product_archived: ['inventory'],
  placed: ['payment', 'notification'], confirmed: ['notification'], cancelled: ['payment', 'inventory', 'notification'], fulfilled: ['notification'],
  refund_requested: ['payment', 'inventory'], payment: ['order', 'inventory', 'notification'],
  committed: ['order'], released: ['order'], shortfall: ['order', 'notification'],
};
type Letter = { to: Service; event: SimEvent };

/** Rounds until everything must stand still; the longest seen are a tenth of it. */
const MAX_ROUNDS = 4_000;

export type World = ReturnType<typeof createWorld>;

export function createWorld(scene: Scene, rules: Rules = RULES, trace?: string[]) {
  const stage = createStage(rules, scene, trace);
  const provider = createProvider(stage);
  const inventory = createInventory(stage);
  const catalogue = createCatalogue(stage);
  const orders = createOrders(stage, catalogue, inventory);
  const payment = createPayment(stage, provider, (orderId) => orders.openingOf(orderId));
  const notification = createNotification(stage, (orderId) => orders.get(orderId));
  const handlers: Record<Service, (event: SimEvent) => void> = { product: () => {}, order: orders.hear, inventory: inventory.hear, payment: payment.hear, notification: notification.hear };

  let letters: Letter[] = [];
  const inboxes: Record<Service, Set<number>> = { product: new Set(), order: new Set(), inventory: new Set(), payment: new Set(), notification: new Set() };
  const deadLetters: Letter[] = [];
  /** Letters whose next try is going to fail for good. */
  const poisoned = new Set<Letter>();

  /** Publishes the outbox of a service that has news; dying before the mark publishes it again, beyond the broker's memory. */
  function relay(pick: number, marks: boolean): boolean {
    const full = SERVICES.filter((service) => stage.outboxes[service].length > 0);
    const service = full[pick % full.length];
    if (service === undefined) return false;
    for (const event of stage.outboxes[service]) for (const to of LISTENERS[event.type]) letters.push({ to, event });
    if (marks) stage.outboxes[service] = [];
    stage.note(() => `${service} publishes${marks ? '' : ', and dies before it has marked it'}`);
    return true;
  }

  /** One delivery. `acked`: else it is there still, though it has had its effect. `dies`: before the commit. */
  function deliver(pick: number, acked: boolean, dies: boolean): boolean {
    const letter = letters[pick % letters.length];
    if (letter === undefined) return false;
    if (dies) {
      if (!rules.house.ackAfterEffect) letters = letters.filter((one) => one !== letter);
      stage.note(() => `${letter.to} dies over ${describe(letter.event)}`);
      crash(letter.to);
      return true;
    }
    if (poisoned.delete(letter)) {
      letters = letters.filter((one) => one !== letter);
      deadLetters.push(letter);
      stage.note(() => `${letter.to} buries ${describe(letter.event)}`);
      return true;
    }
    if (acked) letters = letters.filter((one) => one !== letter);
    hear(letter);
    return true;
  }

  function hear(letter: Letter): void {
    const inbox = inboxes[letter.to];
    if (rules.house.inbox && inbox.has(letter.event.id)) return;
    stage.note(() => `${letter.to} hears ${describe(letter.event)}`);
    try {
      handlers[letter.to](letter.event);
      inbox.add(letter.event.id);
    } catch (error) {
      // A bug, or an event before its time: tried again, in the end a dead letter.
      stage.note(() => `${letter.to} can't: ${(error as Error).message}`);
      deadLetters.push(letter);
      letters = letters.filter((one) => one !== letter);
    }
  }

  function replay(pick: number): boolean {
    const [letter] = deadLetters.splice(pick % Math.max(1, deadLetters.length), 1);
    if (letter) hear(letter);
    return letter !== undefined;
  }

  function go(pick: number, accident: Accident): boolean {
    const i = pick % stage.tasks.length;
    const task = stage.tasks[i];
    if (task === undefined) return false;
    stage.note(() => `${task.name}${accident === 'none' ? '' : ` (${accident})`}`);
    const next = task.go(accident);
    if (next) stage.tasks[i] = { ...task, ...next };
    else stage.tasks.splice(i, 1);
    return true;
  }

  function crash(service: Service): void {
    stage.note(() => `${service} dies; ${stage.tasks.filter((task) => task.service === service).map(({ name }) => name).join('; ') || 'nothing'} under way`);
    stage.tasks = stage.tasks.filter((task) => task.service !== service);
    if (!rules.house.outbox) stage.outboxes[service] = [];
  }

  function pass(ms: number): void {
    stage.now += ms;
    stage.note(() => `${ms / 1_000} s pass`);
    stage.tasks = stage.tasks.filter(({ since }) => stage.now - since < STALE_MS);
  }

  function webhook(pick: number, fresh: boolean): boolean {
    const hooks = fresh ? provider.hooks.filter(({ delivered }) => !delivered) : provider.hooks;
    const hook = hooks[pick % hooks.length];
    if (hook) payment.hearWebhook(hook);
    return hook !== undefined;
  }

  /** The faults are over: what waits goes on, what is due falls due, until nothing moves any more. Letters arrive as the dice fall, where they may. */
  function settle(dice = throwing(stage.said.length)): void {
    for (let round = 0; round < MAX_ROUNDS; round += 1) if (!moveOn(dice)) return;
    throw new Error('does not settle');
  }

  function moveOn(dice: Dice): boolean {
    const any = (n: number): number => (scene.shuffled ? dice.below(Math.max(1, n)) : 0);
    if (stage.tasks.length > 0) return go(any(stage.tasks.length), 'none');
    if (relay(0, true)) return true;
    if (letters.length > 0) {
      poisoned.clear();
      return deliver(any(letters.length), true, false);
    }
    if (replay(0) || orders.retry(0)) return true;
    if (scene.webhooks && webhook(any(provider.hooks.length), true)) return true;
    if (payment.work(any(2)) || notification.send() || notification.lookUp()) return true;
    if (orders.expire() || inventory.expireHolds()) return true;
    if (provider.atTheBank() > 0) {
      provider.answer(any(4), true);
      return true;
    }
    if (provider.closeDispute()) return true;
    const due = Math.min(orders.nextDue(), inventory.nextDue(), payment.nextDue(), notification.nextDue());
    if (due === NEVER) return payment.reconcile();
    pass(Math.max(1, due - stage.now));
    return true;
  }

  return {
    stage, orders, inventory, catalogue, payment, notification, provider, deadLetters, go, crash, deliver, replay, webhook, settle, relay, pass,
    letters: () => letters,
    poison(pick: number): void {
      const letter = letters[pick % letters.length];
      if (letter) poisoned.add(letter);
    },
    /** Two things at the same instant: the clock stands at the end of a hold, or of the time to pay. */
    passTo(moment: 'due' | 'hold', earlyMs: number): void {
      const next = moment === 'due' ? orders.nextDue() : inventory.nextDue();
      if (next !== NEVER && next - earlyMs > stage.now) pass(next - earlyMs - stage.now);
    },
    accident: (n: number): Accident => ACCIDENTS[n % ACCIDENTS.length] as Accident,
  };
}
