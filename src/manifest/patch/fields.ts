import { readFileSync } from 'node:fs';

/** How a field of a kind of Kubernetes is merged. */
export interface Field {
  readonly shape: 'any' | 'list' | 'map' | 'object';
  /** Name of the type of the object, or of the list's or map's entries; undefined where they may be anything. */
  readonly type: string | undefined;
  /** Entries of a list are merged one by one, and not replaced as a whole. */
  readonly merges: boolean;
  /** The field that tells entries of a merged list apart; undefined for a list of texts, which is a set. */
  readonly key: string | undefined;
  /** The object is replaced as a whole. */
  readonly replaces: boolean;
}

export interface Fields {
  /** Name of the type of a kind; undefined for what is not Kubernetes' own. */
  kind(apiVersion: string, kind: string): string | undefined;
  /** Fields of a type. */
  of(type: string): ReadonlyMap<string, Field>;
}

let loaded: Fields | undefined;

/** Fields of Kubernetes' own kinds, from its OpenAPI document (see script/kubernetes-fields). Read when the first patch is applied. */
export function kubernetesFields(): Fields {
  loaded ??= parse(readFileSync(new URL('kubernetes-fields.txt', import.meta.url), 'utf8'));
  return loaded;
}

function parse(text: string): Fields {
  const kinds = new Map<string, string>();
  const types = new Map<string, Map<string, Field>>();
  let open = new Map<string, Field>();
  for (const line of text.split('\n')) {
    const words = line.trim().split(' ');
    if (line.startsWith('kind ')) kinds.set(`${words[1]} ${words[2]}`, words[3] ?? '');
    else if (line.startsWith('type ')) {
      open = new Map();
      types.set(words[1] ?? '', open);
    } else if (line.startsWith(' ')) open.set(words[0] ?? '', fieldOf(words));
  }
  const none = new Map<string, Field>();
  return { kind: (apiVersion, kind) => kinds.get(`${apiVersion} ${kind}`), of: (type) => types.get(type) ?? none };
}

function fieldOf([, written = '*', strategy = '', key]: readonly string[]): Field {
  const shape = written.startsWith('[]')
    ? 'list'
    : written.startsWith('{}')
      ? 'map'
      : written === '*'
        ? 'any'
        : 'object';
  const type = written.replace(/^(?:\[\]|\{\})/, '');
  const strategies = strategy.split(',');
  return {
    shape,
    type: type === '*' ? undefined : type,
    merges: shape === 'list' && strategies.includes('merge'),
    key,
    replaces: strategies.includes('replace'),
  };
}
