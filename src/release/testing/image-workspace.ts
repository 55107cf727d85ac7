import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { openWorkspace } from '../../graph/index.ts';
import { silent } from '../../progress/index.ts';
import { createWorkspaceBuilder, type WorkspaceBuilder } from '../building/builder.ts';

/** A workspace in a temporary folder with a cache of its own, of which images are built. Gone when the test has ended. */
export async function imageWorkspace(files: Readonly<Record<string, string>>): Promise<{
  readonly root: string;
  write(files: Readonly<Record<string, string>>): Promise<void>;
  builder(...patterns: string[]): Promise<WorkspaceBuilder>;
  /** The layout folder of one image, built. */
  layout(label: string): Promise<string>;
}> {
  const base = await mkdtemp(join(tmpdir(), 'banksman-images-'));
  onTestFinished(() => rm(base, { recursive: true, force: true }));
  vi.stubEnv('BANKSMAN_CACHE', join(base, 'cache'));
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  const root = join(base, 'workspace');
  const write = async (some: Readonly<Record<string, string>>) => {
    for (const [path, content] of Object.entries(some)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content);
    }
  };
  await write({ 'banksman.yaml': 'name: test\n', ...files });
  execFileSync('git', ['init', '-q', root]);
  const builder = async (...patterns: string[]) =>
    createWorkspaceBuilder(await openWorkspace(root), {
      progress: silent,
      ...(patterns.length > 0 && { patterns }),
    });
  return {
    root,
    write,
    builder,
    async layout(label) {
      const made = await builder(label);
      const [image] = await made.images(made.labels);
      if (image === undefined) throw new Error(`${label} is no image`);
      return image.layout;
    },
  };
}

/** `drwxr-x--- 1001/1500 app/` for each entry of a layer, as tar(1) reads it. */
export function listed(layer: string): string[] {
  return execFileSync('tar', ['--numeric-owner', '-tvf', layer], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.replace(/^(\S+) (\S+) +\d+ \S+ \S+ /, '$1 $2 '));
}
