import { roles } from './authorization.ts';
import { changeSchemas, listSchemas } from './list-schemas.ts';
import { recordSchemas } from './record-schemas.ts';
import { label, list, object, type Schema, text, time } from './schema.ts';

const release = object({ id: text(), order: { type: 'integer' } }, ['id', 'order']);
const answer = object(
  {
    gate: text(),
    holds: { type: 'boolean' },
    reason: { type: 'string' },
    since: time,
    opens: { type: 'string' },
    opensAt: time,
  },
  ['gate', 'holds', 'reason'],
);
const step = object({ state: text(), at: time, stage: { type: 'integer' }, why: { type: 'string' } }, ['state', 'at']);
const driftedObject = object(
  {
    apiVersion: text(),
    kind: text(),
    name: text(),
    change: { enum: ['changed', 'deleted'] },
    since: time,
    left: { type: 'string' },
    fields: list(
      object(
        {
          path: text(),
          wanted: { type: 'string' },
          found: { type: 'string' },
          by: object({ manager: text(), operation: text(), time }, ['manager', 'operation']),
        },
        ['path'],
      ),
    ),
  },
  ['apiVersion', 'kind', 'name', 'change', 'since', 'fields'],
);
const note = object({ at: time, text: text(4000) }, ['at', 'text']);
const rollout = object(
  {
    id: text(),
    release,
    kind: text(),
    by: text(),
    why: { type: 'string' },
    emergency: { type: 'string' },
    state: text(),
    due: time,
    from: { type: 'string' },
    stage: object({ place: { type: 'integer' }, of: { type: 'integer' }, share: { type: 'integer' } }, [
      'place',
      'of',
      'share',
    ]),
    gates: list(answer),
    steps: list(step),
    notes: list(note),
    adopt: { type: 'boolean' },
    deletesData: { type: 'boolean' },
    deletes: list(text()),
    replacedBy: text(),
  },
  ['id', 'release', 'kind', 'by', 'state', 'due', 'gates', 'steps'],
);
const hold = object(
  {
    id: text(),
    by: text(),
    why: text(),
    at: time,
    upTo: { type: 'integer' },
    until: time,
    ended: object({ at: time, by: text(), why: { type: 'string' } }, ['at', 'by', 'why']),
  },
  ['id', 'by', 'why', 'at'],
);
const knownRelease = object(
  {
    id: text(),
    order: { type: 'integer' },
    service: text(),
    kind: { type: 'string', enum: ['service', 'infrastructure'] },
    reference: text(),
    commit: text(),
    authors: list(text()),
    madeAt: time,
  },
  ['id', 'order', 'service', 'kind', 'reference', 'commit', 'authors', 'madeAt'],
);
const role: Schema = { type: 'string', enum: roles };
const person = { name: text(200), roles: { ...list(role), minItems: 1 }, services: list(label) };

/** What goes in and out, by name. */
export const schemas = {
  ...recordSchemas,
  nothing: object({}),
  problem: object(
    {
      type: text(),
      title: text(),
      status: { type: 'integer' },
      detail: { type: 'string' },
      next: { type: 'string' },
      notes: list({ type: 'string' }),
    },
    ['type', 'title', 'status', 'detail'],
  ),
  environments: list(
    object(
      {
        name: text(),
        cluster: text(),
        namespace: text(),
        after: text(),
        automatic: { type: 'boolean' },
        gates: list(text()),
      },
      ['name', 'cluster', 'namespace', 'automatic', 'gates'],
    ),
  ),
  drift: object({ mode: text(), release: text(), objects: list(driftedObject) }, ['mode', 'objects']),
  placement: object(
    {
      service: text(),
      environment: text(),
      live: rollout,
      rollouts: list(rollout),
      holds: list(hold),
      earlier: { type: 'integer' },
    },
    ['service', 'environment', 'rollouts', 'holds', 'earlier'],
  ),
  why: object({ rollout, release, answers: list(answer), open: { type: 'boolean' }, held: list(hold) }, [
    'answers',
    'open',
    'held',
  ]),
  rollout,
  hold,
  ...listSchemas(rollout as never, hold),
  ...changeSchemas(knownRelease),
  releases: list(knownRelease),
  release: knownRelease,
  promote: object(
    {
      release: text(),
      why: text(),
      emergency: text(),
      // Take over fields that others set.
      adopt: { type: 'boolean' },
      // Delete namespaces, volumes, their claims and definitions too where they left the manifests.
      deletesData: { type: 'boolean' },
    },
    ['release'],
  ),
  rollback: object({ release: text(), why: text() }, ['why']),
  // `rollout` where the word is about a removal: of that release, and of no other removal.
  approve: object({ release: text(), rollout: text(), withdraw: { type: 'boolean' }, why: text() }, ['release']),
  reason: object({ why: text() }, ['why']),
  beginHold: object({ why: text(), until: time }, ['why']),
  sighting: object(
    {
      commit: text(200),
      committedAt: time,
      gone: { ...list(label), maxItems: 500 },
      there: { ...list(label), maxItems: 500 },
    },
    ['commit', 'committedAt'],
  ),
  seen: object({ services: list(text()) }, ['services']),
  addRelease: object({ reference: text() }, ['reference']),
  createToken: object({ ...person, expiresAt: time }, ['name', 'roles', 'services', 'expiresAt']),
  token: object({ id: text(), token: text() }, ['id', 'token']),
  tokens: list(
    object({ id: text(), ...person, madeAt: time, expiresAt: time, revokedAt: time }, [
      'id',
      'name',
      'roles',
      'services',
    ]),
  ),
  audit: list({ type: 'object', additionalProperties: true }),
} as const;

export type SchemaName = keyof typeof schemas;
