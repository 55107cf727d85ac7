import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { calls } from './calls/index.ts';
import { apiReference } from './reference.ts';

it('docs/api.md says what the calls say: script/api-reference writes it', async () => {
  const written = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
  expect(written).toBe(apiReference());
  for (const { method, path } of calls) expect(written).toContain(`### ${method} ${path}\n`);
});
