import { readFileSync, writeFileSync } from 'node:fs';

interface Property {
  readonly type?: string;
  readonly $ref?: string;
  readonly items?: Property;
  readonly additionalProperties?: Property;
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
}
interface Definition {
  readonly properties?: Readonly<Record<string, Property>>;
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
}

const [source = '', version = '', target = ''] = process.argv.slice(2);
const { definitions } = JSON.parse(readFileSync(source, 'utf8')) as { definitions: Record<string, Definition> };

const short = (ref: string) =>
  ref.replace('#/definitions/', '').replace(/^io\.k8s\.(?:api\.)?/, '').replace('apimachinery.pkg.apis.', '');
const refOf = ({ $ref }: Property) => ($ref !== undefined && definitions[$ref.slice(14)]?.properties ? short($ref) : '*');

/** `*` any value, `Type`, `[]Type`, `{}Type`; nested lists and maps are any value. */
function shape(property: Property): string {
  if (property.type === 'array') return `[]${refOf(property.items ?? {})}`;
  if (property.additionalProperties !== undefined) return `{}${refOf(property.additionalProperties)}`;
  return refOf(property);
}

const lines = [`# Fields of the kinds of Kubernetes ${version}. Written by script/kubernetes-fields; not by hand.`];
const reached = new Set<string>();
const open: string[] = [];
for (const [name, definition] of Object.entries(definitions).sort()) {
  for (const { group, version: v, kind } of definition['x-kubernetes-group-version-kind'] ?? []) {
    // Lists are not written into manifests, and DeleteOptions and their like are no objects.
    if (definition.properties?.metadata?.$ref?.endsWith('.ObjectMeta') !== true) continue;
    lines.push(`kind ${group === '' ? v : `${group}/${v}`} ${kind} ${short(name)}`);
    open.push(name);
  }
}
for (let name = open.pop(); name !== undefined; name = open.pop()) {
  if (reached.has(name)) continue;
  reached.add(name);
  for (const property of Object.values(definitions[name]?.properties ?? {})) {
    const ref = property.$ref ?? property.items?.$ref ?? property.additionalProperties?.$ref;
    if (ref !== undefined) open.push(ref.slice(14));
  }
}
for (const name of [...reached].sort()) {
  const properties = Object.entries(definitions[name]?.properties ?? {});
  if (properties.length === 0) continue;
  lines.push(`type ${short(name)}`);
  for (const [field, property] of properties) {
    const strategy = property['x-kubernetes-patch-strategy'];
    const key = property['x-kubernetes-patch-merge-key'];
    const merge = `${strategy === undefined ? '' : ` ${strategy}`}${key === undefined ? '' : ` ${key}`}`;
    lines.push(` ${field} ${shape(property)}${merge}`);
  }
}
writeFileSync(target, `${lines.join('\n')}\n`);
