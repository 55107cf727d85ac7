import { isAlias, isMap, isPair, isScalar, isSeq, type Node, parseDocument, type YAMLMap } from 'yaml';
import { type Fault, nearest, type Place } from '../fault/index.ts';
import { type JsonValue, placeOf, type Source } from '../language/index.ts';

/** Makes the fault for what is wrong with a form: whose file it is, is not known here. */
export type FormFault = (
  message: string,
  details: { readonly place?: Place; readonly next?: string | undefined },
) => Fault;

/** One value of a YAML file, with what is needed to say where it stands. */
export interface FormNode {
  readonly source: Source;
  readonly fault: FormFault;
  /** Null where nothing stands behind a key. */
  readonly node: Node | null;
  /** How a person would name it: `environments.dev.cluster`. */
  readonly path: string;
  readonly place: Place;
}

/** Bytes of a file that people write by hand. */
const maximumLength = 1024 * 1024;

/**
 * Parses a file into its top node.
 *
 * @throws what `fault` makes, with the place
 */
export function parseForm(source: Source, fault: FormFault): FormNode {
  if (source.text.length > maximumLength) {
    throw fault(`${source.file} is longer than ${maximumLength} characters`, { place: { file: source.file } });
  }
  const document = parseDocument(source.text, { prettyErrors: false });
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) {
    throw fault(`${source.file} is not valid YAML: ${error.message}`, {
      place: placeOf(source, error.pos[0], error.pos[1]),
    });
  }
  return formNode({ source, fault }, document.contents as Node | null, '');
}

function formNode(
  { source, fault }: Pick<FormNode, 'source' | 'fault'>,
  node: Node | null,
  path: string,
  fallback?: Place,
): FormNode {
  const place = node?.range ? placeOf(source, node.range[0], node.range[1]) : (fallback ?? { file: source.file });
  const form = { source, fault, node, path, place };
  if (isAlias(node)) throw wrong(form, 'an alias (*name) is not taken here', 'write the value out');
  return form;
}

export function wrong(form: FormNode, why: string, next?: string): Fault {
  const what = form.path === '' ? form.source.file : form.path;
  return form.fault(`${what}: ${why}`, { place: form.place, next });
}

export function isMapping(form: FormNode): boolean {
  return isMap(form.node);
}

/** Entries of a mapping, in the order written. */
export function entriesOf(form: FormNode): { key: string; value: FormNode; place: Place }[] {
  if (!isMap(form.node)) throw wrong(form, `must be a mapping of keys to values, not ${kindOf(form)}`);
  return (form.node as YAMLMap<Node, Node | null>).items.map((item) => {
    if (!isPair(item) || !isScalar(item.key) || typeof item.key.value !== 'string') {
      throw wrong(form, 'has a key that is no text', 'put the key in quotes');
    }
    const key = item.key.value;
    const range = (item.key as Node).range!;
    const place = placeOf(form.source, range[0], range[1]);
    const value = formNode(form, item.value ?? null, form.path === '' ? key : `${form.path}.${key}`, place);
    return { key, value, place };
  });
}

/** A mapping whose keys are known beforehand. Another one is a fault, with the nearest */
export function fieldsOf<Key extends string>(form: FormNode, keys: readonly Key[]): Partial<Record<Key, FormNode>> {
  const fields: Partial<Record<Key, FormNode>> = {};
  for (const { key, value, place } of entriesOf(form)) {
    if (!(keys as readonly string[]).includes(key)) {
      const near = nearest(key, keys);
      throw form.fault(`${value.path}: there is no such key`, {
        place,
        next: near === undefined ? `the keys here are ${keys.join(', ')}` : `did you mean ${near}?`,
      });
    }
    fields[key as Key] = value;
  }
  return fields;
}

export function textOf(form: FormNode, pattern: RegExp, what: string): string {
  const value = isScalar(form.node) ? form.node.value : undefined;
  if (typeof value !== 'string')
    throw wrong(form, `must be ${what}, not ${kindOf(form)}`, isScalar(form.node) ? 'put it in quotes' : undefined);
  if (!pattern.test(value)) throw wrong(form, `${JSON.stringify(value)} is not ${what}`);
  return value;
}

export function truthOf(form: FormNode): boolean {
  const value = isScalar(form.node) ? form.node.value : undefined;
  if (typeof value !== 'boolean') throw wrong(form, `must be true or false, not ${kindOf(form)}`);
  return value;
}

/** @param least the least value that is taken */
export function numberOf(form: FormNode, least = -Number.MAX_VALUE): number {
  const value = isScalar(form.node) ? form.node.value : undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(form, `must be a number, not ${kindOf(form)}`);
  if (value < least) throw wrong(form, `must be ${least} or more`);
  return value;
}

export function listOf(form: FormNode): FormNode[] {
  if (!isSeq(form.node)) throw wrong(form, `must be a list, not ${kindOf(form)}`);
  return form.node.items.map((item, index) =>
    formNode(form, item as Node | null, `${form.path}[${index}]`, form.place),
  );
}

/** A value of any shape. Fractions are refused: the BUILD language has none. */
export function jsonOf(form: FormNode): JsonValue {
  if (form.node === null) return null;
  if (isMap(form.node)) return Object.fromEntries(entriesOf(form).map(({ key, value }) => [key, jsonOf(value)]));
  if (isSeq(form.node)) return listOf(form).map(jsonOf);
  const value = isScalar(form.node) ? form.node.value : undefined;
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw wrong(
    form,
    `${JSON.stringify(value) ?? 'this'} is neither a text, a whole number, a truth value, a list nor a mapping`,
    'put it in quotes',
  );
}

function kindOf(form: FormNode): string {
  if (form.node === null) return 'nothing';
  if (isMap(form.node)) return 'a mapping';
  if (isSeq(form.node)) return 'a list';
  const value = isScalar(form.node) ? form.node.value : undefined;
  return value === null ? 'nothing' : typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}
