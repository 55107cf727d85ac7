import { type Action, rights, roles } from './authorization.ts';
import type { Call } from './call.ts';
import { calls } from './calls/index.ts';
import type { Schema } from './schema.ts';
import { schemas } from './schemas.ts';

/** Characters of a line of a form. */
const width = 110;
/** Forms with a name of their own wherever they stand. */
const named = new Map<unknown, string>(
  Object.entries(schemas)
    .filter(([, schema]) => schema.type === 'object' && Object.keys((schema as Schema).properties as object).length > 0)
    .map(([name, schema]) => [schema, name]),
);

const beginning = `<!-- Made by script/api-reference from the calls in src/server/calls. -->

# The server's API

Every call of \`banksman server\` ([server.md](server.md)). \`/openapi.json\` says the same as OpenAPI 3.1.

- **Who calls** is told by \`Authorization: Bearer TOKEN\`. 401 without a token that is valid, 403 where none of its roles may.
- **A service** is its label, percent-encoded: \`%2F%2Fbank%2Fledger%3Aledger\`. **A release** is its name, or the first 8 digits of it or more.
- **\`Idempotency-Key\`** (8 to 100 letters, digits and \`. _ -\`) at a POST: the same call made twice is one. Who gets no answer, or 503, asks again
  with the same key.
- **Errors** are \`application/problem+json\` (RFC 9457): \`type\` is \`urn:banksman:\` and a stable code, \`detail\` says what is wrong, \`next\` what to
  do. 503 with \`Retry-After\`: the database is away; ask again.
- **Bodies** are JSON of at most 64 KiB. Fields that are not listed are errors. Times are RFC 3339 in UTC.
- In the forms below \`?\` marks what may be missing, \`[x]\` is a list of x.

Beside the calls: \`GET /healthz\` and \`/readyz\` (no token), \`GET /metrics\` (Prometheus), and \`GET /v1/events\`: what happens, as server-sent
events. Their ids are numbers of the audit log: \`Last-Event-ID\` goes on where a reader was, on any server, also after the database was away.
`;

/** `docs/api.md`. */
export function apiReference(): string {
  const groups = Map.groupBy(calls, ({ path }) => groupOf(path));
  const sections = [...groups].map(([title, list]) => `## ${title}\n\n${list.map(sectionOf).join('\n')}`);
  const used = [...named].filter(([schema]) => calls.some(({ gives }) => holds(schemas[gives], schema)));
  const forms = used
    .toSorted(([, a], [, b]) => (a < b ? -1 : 1))
    .map(([schema, name]) => `### ${name}\n\n    ${indented(formOf(schema as Schema, true))}\n`);
  return `${beginning}\n${sections.join('\n')}\n## Forms\n\n${forms.join('\n')}`;
}

function groupOf(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== 'v1');
  if (path.includes('{environment}/services/{service}')) return 'A service in an environment';
  const word = parts[0] ?? '';
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function sectionOf({ method, path, summary, action, query = [], takes, gives, status = 200 }: Call): string {
  const lines = [`### ${method} ${path}`, '', `${summary}. ${whoMay(action)}`, ''];
  if (query.length > 0) lines.push(`Query: ${query.map((name) => `\`${name}\``).join(', ')}.`, '');
  if (takes !== undefined) lines.push('Takes', '', `    ${indented(formOf(schemas[takes], true))}`, '');
  lines.push(`Gives ${status}`, '', `    ${indented(formOf(schemas[gives], gives !== named.get(schemas[gives])))}`, '');
  return lines.join('\n');
}

function whoMay(action: Action): string {
  const may = roles.flatMap((role) => {
    const right = rights[action][role];
    if (right === 'no') return [];
    return [right === 'yes' ? role : `${role} (${right === 'own' ? 'own services' : right})`];
  });
  return `May: ${may.length === roles.length ? 'everybody with a token' : may.join(', ')} (\`${action}\`).`;
}

/** @param open shows what is in a form that has a name */
function formOf(schema: Schema, open = false): string {
  const name = named.get(schema);
  if (name !== undefined && !open) return name;
  const { type, enum: words, format, pattern, items, properties, required = [], additionalProperties } = schema;
  if (type === 'array') return `[${formOf(items as Schema)}]`;
  if (Array.isArray(words)) return words.map((word) => JSON.stringify(word)).join(' | ');
  if (type !== 'object') {
    if (format === 'date-time') return 'time';
    if (typeof pattern === 'string' && pattern.startsWith('^//')) return 'label';
    return type === 'string' ? 'text' : String(type ?? 'anything');
  }
  const fields = Object.entries((properties ?? {}) as Record<string, Schema>).map(
    ([key, value]) => `${key}${(required as readonly string[]).includes(key) ? '' : '?'}: ${formOf(value)}`,
  );
  if (fields.length === 0) return additionalProperties === false ? '{}' : '{ ... }';
  const line = `{ ${fields.join(', ')} }`;
  return line.length <= width && !line.includes('\n')
    ? line
    : `{\n${fields.map((field) => `  ${field.replaceAll('\n', '\n  ')},`).join('\n')}\n}`;
}

function indented(text: string): string {
  return text.replaceAll('\n', '\n    ');
}

/** Whether a form stands somewhere in another one. */
function holds(schema: unknown, wanted: unknown): boolean {
  if (schema === wanted) return true;
  if (typeof schema !== 'object' || schema === null) return false;
  return Object.values(schema).some((each) => holds(each, wanted));
}
