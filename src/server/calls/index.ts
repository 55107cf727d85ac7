import type { Call } from '../call.ts';
import { auditCalls } from './audit.ts';
import { differenceCalls } from './difference.ts';
import { driftCalls } from './drift.ts';
import { emergencyCalls } from './emergency.ts';
import { evidenceCalls } from './evidence.ts';
import { holdCalls } from './hold.ts';
import { listCalls } from './list.ts';
import { placementCalls } from './placement.ts';
import { releaseCalls } from './release.ts';
import { removalCalls } from './removal.ts';
import { rolloutCalls } from './rollout.ts';
import { testCalls } from './test.ts';
import { tokenCalls } from './token.ts';
import { trainCalls } from './train.ts';
import { webhookCalls } from './webhook.ts';
import { workspaceCalls } from './workspace.ts';

/** Every call of the API: the routes, the document and the tests are made of this list. */
export const calls: readonly Call[] = [
  ...placementCalls,
  ...listCalls,
  ...driftCalls,
  ...rolloutCalls,
  ...removalCalls,
  ...differenceCalls,
  ...trainCalls,
  ...emergencyCalls,
  ...holdCalls,
  ...releaseCalls,
  ...testCalls,
  ...workspaceCalls,
  ...auditCalls,
  ...evidenceCalls,
  ...tokenCalls,
  ...webhookCalls,
];
