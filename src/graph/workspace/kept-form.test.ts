import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createWorkspace, faultsOf } from '../test-workspace.ts';
import { openWorkspace } from './workspace.ts';

const form = 'name: x\nconfig: { go: { import_path: y } }\nenvironments:\n  dev: { cluster: local, namespace: d }\n';

describe('a workspace opened again', () => {
  let cache: string;
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'banksman-test-'));
    vi.stubEnv('BANKSMAN_CACHE', cache);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(cache, { recursive: true });
  });
  const kept = () => readdirSync(join(cache, 'workspaces')).map((name) => join(cache, 'workspaces', name));

  it('is the same, and was not parsed', async () => {
    const { root } = createWorkspace({ 'banksman.yaml': form }, { git: false });
    const first = await openWorkspace(root);
    const [file] = kept();
    // What is kept is what is taken: another name in it, of the same length, shows.
    writeFileSync(file!, Buffer.from(readFileSync(file!).toString('latin1').replace('"\x01x', '"\x01z'), 'latin1'));
    const second = await openWorkspace(root);
    expect(second.name).toBe('z');
    expect({ ...second, name: 'x' }).toEqual(first);
    expect(second.environments.get('dev')).toEqual(first.environments.get('dev'));
  });

  it('is parsed anew when its text differs, another one has its place, or what is kept is damaged', async () => {
    const { root } = createWorkspace({ 'banksman.yaml': form }, { git: false });
    await openWorkspace(root);
    writeFileSync(join(root, 'banksman.yaml'), form.replace('name: x', 'name: other'));
    expect((await openWorkspace(root)).name).toBe('other');
    writeFileSync(join(root, '.plzconfig'), '[buildconfig]\nlevel = two\n');
    expect((await openWorkspace(root)).please?.config).toEqual({ LEVEL: 'two' });
    for (const damage of ['', 'x', readFileSync(kept()[0]!).subarray(0, 40)]) {
      writeFileSync(kept()[0]!, damage);
      expect((await openWorkspace(root)).name).toBe('other');
    }
    writeFileSync(join(root, 'banksman.yaml'), 'name: 3\n');
    expect(await faultsOf(() => openWorkspace(root))).toMatchObject([{ code: 'graph/bad-workspace' }]);
  });
});
