import { list, object, type Schema, text, time } from './schema.ts';

const kind: Schema = { type: 'string', enum: ['service', 'infrastructure'] };
const order: Schema = { type: 'integer' };
const release = object({ id: text(), order, commit: text(), madeAt: time }, ['id', 'order']);
const service = { service: text(), kind, owner: text(), newest: release };

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

/** A page: its items, and what the next one is asked with. */
function pageOf(item: Schema): Schema {
  return object({ items: list(item), next: text() }, ['items']);
}
