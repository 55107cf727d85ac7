import { label, list, object, type Schema, text, time } from './schema.ts';

const commit: Schema = { type: 'string', pattern: '^[0-9a-f]{40}([0-9a-f]{24})?$' };
const result = object({ target: label, passed: { type: 'boolean' } }, ['target', 'passed']);

/** What is reported and said for the record: tests, reviews of emergencies. */
export const recordSchemas = {
  reportTests: object({ commit, where: text(200), tests: { ...list(result), minItems: 1, maxItems: 200 } }, [
    'commit',
    'where',
    'tests',
  ]),
  testReports: list(
    object({ release: text(), commit, where: text(), by: text(), at: time, tests: list(result) }, [
      'release',
      'commit',
      'where',
      'by',
      'at',
      'tests',
    ]),
  ),
  commitReleases: object(
    {
      releases: list(object({ id: text(), service: text(), reference: text() }, ['id', 'service', 'reference'])),
      /** Tests that a gate asks for. */
      tests: list(label),
    },
    ['releases', 'tests'],
  ),
  reviewEmergency: object({ why: text() }, ['why']),
  emergencies: list(
    object(
      {
        rollout: text(),
        by: text(),
        why: text(),
        startedAt: time,
        review: object({ by: text(), at: time, why: { type: 'string' } }, ['by', 'at', 'why']),
      },
      ['rollout', 'by', 'why', 'startedAt'],
    ),
  ),
  /** docs/audit.md says what is in it. */
  evidence: { type: 'object', properties: {}, additionalProperties: true },
  createWebhook: object(
    { url: text(2000), events: { ...list(text(100)), maxItems: 50 }, allowLinkLocal: { type: 'boolean' } },
    ['url'],
  ),
  createdWebhook: object({ id: text(), secret: text() }, ['id', 'secret']),
  webhooks: list(
    object(
      {
        id: text(),
        url: text(),
        events: list(text()),
        madeAt: time,
        by: text(),
        pending: { type: 'integer' },
        dead: { type: 'integer' },
        delivered: { type: 'integer' },
        deliveredAt: time,
        trouble: { type: 'string' },
        disabled: { type: 'string' },
      },
      ['id', 'url', 'events', 'madeAt', 'by', 'pending', 'dead', 'delivered'],
    ),
  ),
  triedWebhook: object({ received: { type: 'boolean' }, status: { type: 'integer' }, told: text() }, [
    'received',
    'told',
  ]),
  retriedWebhook: object({ messages: { type: 'integer' } }, ['messages']),
  emergencyReview: object({ rollout: text(), by: text(), at: time, why: text() }, ['rollout', 'by', 'at', 'why']),
} as const;
