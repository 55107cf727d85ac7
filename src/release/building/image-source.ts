import { randomBytes } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { cacheFolder } from '../../disk/index.ts';
import { findTarget, type Label, parseLabel, type Workspace } from '../../graph/index.ts';
import {
  type LayoutImages,
  openBlobStore,
  pullImage,
  type RegistryAccessOptions,
  readLayout,
} from '../../image/index.ts';
import type { Progress } from '../../progress/index.ts';
import { createWorkspaceBuilder } from './builder.ts';
import { withWorkspaceAt } from './commit-workspace.ts';

/** An image somewhere, ready to be looked at. */
export interface OpenImage {
  /** As a person named it, and the commit where one was asked for: `//bank/ledger:image at 0123456789ab`. */
  readonly name: string;
  readonly content: LayoutImages;
  /** What its package calls it: `bank/ledger`. Undefined for a folder. */
  readonly repository?: string;
}

export interface OpenOptions {
  /** Where labels are looked up; opened when one is named. */
  readonly workspace: () => Promise<{ readonly workspace: Workspace; readonly currentPackage: string }>;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  /** How the registry of a reference is reached; by its name and the user's credentials unless told. */
  readonly reach?: (reference: string) => Promise<Pick<RegistryAccessOptions, 'transport' | 'registries'>>;
  /** Build the label as this commit has it. */
  readonly at?: string | undefined;
}

/**
 * Opens an image by its label (built then), the folder of an OCI layout, or its name in a registry (pulled then), and
 * removes afterwards what was brought for it.
 */
export async function withImage<T>(
  text: string,
  options: OpenOptions,
  body: (image: OpenImage) => Promise<T>,
): Promise<T> {
  if (/^(\/\/|:)/.test(text)) return withBuilt(text, options, body);
  const folder = resolve(text);
  if ((await stat(join(folder, 'index.json')).catch(() => undefined))?.isFile() || /^\.{0,2}\//.test(text)) {
    return body({ name: text, content: await readLayout(folder) });
  }
  return withPulled(text, options, body);
}

async function withBuilt<T>(text: string, options: OpenOptions, body: (image: OpenImage) => Promise<T>): Promise<T> {
  const { workspace, currentPackage } = await options.workspace();
  const label = parseLabel(text, currentPackage);
  if (options.at === undefined) return body(await builtImage(workspace, label, options));
  return withWorkspaceAt(workspace, options.at, async (then, commit) => {
    const image = await builtImage(then, label, options);
    return body({ ...image, name: `${label} at ${commit.slice(0, 12)}` });
  });
}

async function builtImage(workspace: Workspace, label: Label, { progress, signal }: OpenOptions): Promise<OpenImage> {
  const builder = await createWorkspaceBuilder(workspace, {
    progress,
    patterns: [label],
    ...(signal && { signal }),
  });
  findTarget(builder.graph, label);
  const [image] = await builder.images([label]);
  if (image === undefined) throw new Error(`${label} was not built`);
  return { name: label, content: await readLayout(image.layout), repository: image.repository };
}

async function withPulled<T>(
  reference: string,
  options: OpenOptions,
  body: (image: OpenImage) => Promise<T>,
): Promise<T> {
  const output = join(tmpdir(), `banksman-image-${randomBytes(8).toString('hex')}`);
  try {
    const reach = await options.reach?.(reference);
    await pullImage({
      reference,
      store: await openBlobStore(cacheFolder('blobs')),
      output,
      whole: true,
      progress: options.progress,
      ...reach,
      ...(options.signal && { signal: options.signal }),
    });
    return await body({ name: reference, content: await readLayout(output) });
  } finally {
    await rm(output, { recursive: true, force: true });
  }
}
