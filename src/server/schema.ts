/** A JSON Schema (2020-12, as OpenAPI 3.1 takes them). */
export type Schema = Readonly<Record<string, unknown>>;

export const text = (maxLength = 1000): Schema => ({ type: 'string', minLength: 1, maxLength });
export const time: Schema = { type: 'string', format: 'date-time' };
export const label: Schema = { type: 'string', pattern: '^//.{1,300}$' };
export const list = (items: Schema): Schema => ({ type: 'array', items });

/** Names of fields that are not listed are errors. */
export const object = (properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});
