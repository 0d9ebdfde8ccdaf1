// All experiments, in the order of the report.
import { watched } from './checks/watch.ts';
import type { Experiment } from './experiment.ts';
import { A6 } from './experiments/access.ts';
import { A1, A2, A3, A4 } from './experiments/attacks.ts';
import { A12 } from './experiments/broker.ts';
import { A15 } from './experiments/browser.ts';
import { I18 } from './experiments/canaries.ts';
import { E3 } from './experiments/crash-points.ts';
import { E24, E25, E26, E34 } from './experiments/events.ts';
import { A16, A17 } from './experiments/crowds.ts';
import { A11 } from './experiments/injection.ts';
import { E1, E2, E4, E5, E6, E7 } from './experiments/kills.ts';
import { E15, E21, E23 } from './experiments/moments.ts';
import { E30, E31, E32, E35 } from './experiments/network.ts';
import { E37 } from './experiments/overload.ts';
import { A9 } from './experiments/prices.ts';
import { E12, E13, E14, E17, E18, E19 } from './experiments/provider.ts';
import { A13 } from './experiments/roles.ts';
import { E27, E28 } from './experiments/stock.ts';
import { E8, E10 } from './experiments/storage.ts';
import { A7 } from './experiments/tokens.ts';
import { A8 } from './experiments/webhooks.ts';

export const EXPERIMENTS: readonly Experiment[] = [E1, E2, E3, E4, E5, E6, E7, E8, E10, E12, E13, E14, E15, E17, E18, E19, E21, E23, E24, E25, E26, E27, E28, E30, E31, E32, E34, E35, E37, watched(A1), watched(A2), watched(A3), watched(A4), A6, A7, A8, A9, A11, A12, A13, A15, watched(A16), watched(A17), I18];
