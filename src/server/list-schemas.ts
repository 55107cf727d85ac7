import { label, list, object, type Schema, text, time } from './schema.ts';

const kind: Schema = { type: 'string', enum: ['service', 'infrastructure'] };
const order: Schema = { type: 'integer' };
const release = object({ id: text(), order, commit: text(), madeAt: time }, ['id', 'order']);
// `gone`: the workspace does not have it any more, since this commit.
const gone = object({ commit: text(), at: time }, ['commit', 'at']);
const service = { service: text(), kind, owner: text(), newest: release, gone };

/** Schemas of what lists answer. */
export function listSchemas(rollout: { readonly properties: Readonly<Record<string, Schema>> }, hold: Schema) {
  const open = object(
    {
      rollout: text(),
      release: object({ id: text(), order }, ['id', 'order']),
      kind: text(),
      by: text(),
      state: text(),
      since: time,
      due: time,
      shut: list(text()),
    },
    ['rollout', 'release', 'kind', 'by', 'state', 'since', 'due', 'shut'],
  );
  const placement = {
    state: text(),
    live: object({ release, rollout: text(), kind: text(), by: text(), since: time }, [
      'release',
      'rollout',
      'kind',
      'by',
      'since',
    ]),
    behind: { type: 'integer' },
    removed: object(
      { release: object({ id: text(), order }, ['id', 'order']), rollout: text(), by: text(), since: time },
      ['release', 'rollout', 'by', 'since'],
    ),
    open: list(open),
    held: list(hold),
  };
  const needed = ['state', 'open', 'held'];
  const environments = { type: 'object', additionalProperties: object(placement, needed) };
  return {
    servicePage: pageOf(object({ ...service, environments }, ['service', 'kind', 'newest', 'environments'])),
    placementPage: pageOf(object({ ...service, ...placement }, ['service', 'kind', 'newest', ...needed])),
    rolloutPage: pageOf({
      ...rollout,
      properties: { ...rollout.properties, commit: text(), authors: list(text()) },
    }),
  } as const;
}

/** Schemas of trains, previews and differences. */
export function changeSchemas(knownRelease: Schema) {
  const field = object({ path: text(10_000), before: { type: 'string' }, after: { type: 'string' } }, ['path']);
  const change: Schema = { type: 'string', enum: ['added', 'changed', 'removed'] };
  const changes = object({ kind: text(), name: text(), namespace: text(), change, fields: list(field) }, [
    'kind',
    'name',
    'change',
    'fields',
  ]);
  const ref = object({ id: text(), order }, ['id', 'order']);
  const named = object({ kind: text(), name: text(), namespace: text() }, ['kind', 'name']);
  const car = { service: text(), release: ref, after: list(text()) };
  const state: Schema = { type: 'string', enum: ['waits', 'goes', 'arrived', 'failed', 'stays'] };
  const train = object(
    {
      id: text(),
      environment: text(),
      by: text(),
      why: text(),
      startedAt: time,
      endedAt: time,
      cars: list(object({ ...car, state }, ['service', 'release', 'after', 'state'])),
    },
    ['id', 'environment', 'by', 'startedAt', 'cars'],
  );
  return {
    preview: object(
      {
        from: knownRelease,
        to: knownRelease,
        releases: list(knownRelease),
        against: { type: 'string', enum: ['cluster', 'release'] },
        objects: list(changes),
        unchanged: { type: 'integer' },
        note: { type: 'string' },
      },
      ['to', 'releases', 'against', 'objects', 'unchanged'],
    ),
    difference: object({ from: knownRelease, to: knownRelease, releases: list(knownRelease), objects: list(changes) }, [
      'from',
      'to',
      'releases',
      'objects',
    ]),
    removal: object(
      {
        release: ref,
        gates: list(text()),
        goes: list(named),
        precious: list(
          object(
            {
              kind: text(),
              name: text(),
              namespace: text(),
              // What is lost with it.
              loses: text(),
              // An object that deletes it with itself.
              goesWith: text(),
              // Services that have objects in it too.
              others: list(text()),
            },
            ['kind', 'name', 'loses', 'others'],
          ),
        ),
        note: { type: 'string' },
        replacement: object(
          {
            service: text(),
            release: knownRelease,
            takesOver: list(named),
            objects: list(changes),
            unchanged: { type: 'integer' },
          },
          ['service', 'takesOver', 'objects', 'unchanged'],
        ),
      },
      ['release', 'gates', 'goes', 'precious'],
    ),
    remove: object(
      {
        why: text(),
        emergency: text(),
        // Names of namespaces, volumes, claims and definitions that go too: PersistentVolumeClaim/data.
        deletes: list(text()),
        // The label of the service that takes its place, and a release of it.
        replacedBy: label,
        release: text(),
      },
      ['why'],
    ),
    trainPlan: object(
      {
        cars: list(object(car, ['service', 'release', 'after'])),
        stay: list(object({ service: text(), why: { type: 'string' } }, ['service', 'why'])),
        circles: list(list(text())),
      },
      ['cars', 'stay', 'circles'],
    ),
    startTrain: object({ match: text(10_000), kind, why: text() }, ['why']),
    train,
    trains: list(train),
  } as const;
}

/** A page: its items, and what the next one is asked with. */
function pageOf(item: Schema): Schema {
  return object({ items: list(item), next: text() }, ['items']);
}
