// Notification: what our own sender reports of its latest try, and what the providers tell of what they did.
import { decide, type Fact, type Standing } from '../../services/notification/src/notification.ts';
import { crossing, type Happening } from './crossing.ts';

const hears = (fact: Fact): Happening<Standing> => (standing) => ({ ...standing, ...decide(standing, fact) });
const start = (state: Standing['state'], sending: boolean) => (): Standing => ({ state, version: 1, attempts: 1, sending });
const OWN = ['the sender says: sent', 'the sender says: refused for good', 'the sender says: not now', 'the sender does not know', 'a look finds it', 'a look does not find it'];

export const CROSSING = crossing<Standing>({
  service: 'notification',
  starts: { 'a message that is being sent': start('pending', true), 'a message that was sent': start('sent', false), 'a message that was delivered': start('delivered', false) },
  happenings: {
    'the sender says: sent': hears({ type: 'sent', providerMessageId: 'm1' }),
    'the sender says: refused for good': hears({ type: 'failed', attempt: 1, error: 'no' }),
    'the sender says: not now': hears({ type: 'delayed', attempt: 1, error: 'later', pauseMs: 1 }),
    'the sender does not know': hears({ type: 'unknown', attempt: 1, error: '', pauseMs: 1 }),
    'a look finds it': hears({ type: 'sent', providerMessageId: 'm1' }),
    'a look does not find it': hears({ type: 'not_sent', attempt: 1, pauseMs: 1 }),
    'a sender from before reports': hears({ type: 'failed', attempt: 0, error: 'old' }),
    'it is delivered': hears({ type: 'delivered', providerMessageId: 'm1' }),
    'it comes back': hears({ type: 'bounced', providerMessageId: 'm1', bounceType: 'HardBounce' }),
  },
  // One try ends in one way, and what was refused for good is never delivered.
  instead: [OWN, ['the sender says: refused for good', 'it is delivered', 'it comes back']],
  endOf: ({ state }) => state,
  races: [],
});
