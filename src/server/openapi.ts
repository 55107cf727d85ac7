import { calls } from './calls/index.ts';
import { type SchemaName, schemas } from './schemas.ts';

/** The API's own description, OpenAPI 3.1, made of the same list as the routes. */
export function openApiDocument(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const call of calls) {
    const names = [...call.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
    const parameters = [
      ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...(call.query ?? []).map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
      ...(call.method === 'POST' ? [{ name: 'Idempotency-Key', in: 'header', schema: { type: 'string' } }] : []),
    ];
    const operation = {
      summary: call.summary,
      operationId: `${call.method.toLowerCase()}${call.path.replace(/[^a-z]+(\w)/gi, (_, letter: string) => letter.toUpperCase())}`,
      'x-banksman-action': call.action,
      ...(parameters.length > 0 && { parameters }),
      ...(call.takes !== undefined && { requestBody: { required: true, content: json(call.takes) } }),
      responses: {
        [call.status ?? 200]: { description: 'Done', content: json(call.gives) },
        default: { description: 'Problem', content: { 'application/problem+json': { schema: reference('problem') } } },
      },
    };
    paths[call.path] = { ...paths[call.path], [call.method.toLowerCase()]: operation };
  }
  paths['/v1/events'] = {
    get: {
      summary: 'Everything that happens, as server-sent events; Last-Event-ID resumes',
      operationId: 'getEvents',
      'x-banksman-action': 'event.read',
      parameters: [{ name: 'Last-Event-ID', in: 'header', schema: { type: 'string' } }],
      responses: { 200: { description: 'A stream that does not end', content: { 'text/event-stream': {} } } },
    },
  };
  return {
    openapi: '3.1.0',
    info: { title: 'Banksman', version },
    paths,
    components: { schemas, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    security: [{ token: [] }],
  };
}

function json(name: SchemaName) {
  return { 'application/json': { schema: reference(name) } };
}

function reference(name: SchemaName) {
  return { $ref: `#/components/schemas/${name}` };
}
