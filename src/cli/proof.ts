import type { Command } from 'commander';
import type { Environment } from '../graph/index.ts';
import { clusterAccess } from '../local/index.ts';
import {
  type BuiltImage,
  createWorkspaceBuilder,
  environmentOf,
  type RegistryAccess,
  type ReviewSource,
  reviewsInNotes,
  type WorkspaceBuilder,
} from '../release/index.ts';
import { localName } from './cluster.ts';
import type { CommandContext } from './context.ts';
import { askPassword } from './password.ts';
import { here } from './workspace.ts';

export function withKeyOption(command: Command): Command {
  return command.option(
    '--key <reference>',
    'what to sign with: a file, env://VARIABLE or NAME://KEY of a program sigstore-kms-NAME ($BANKSMAN_SIGNING_KEY)',
  );
}

export function withCosign2Option(command: Command): Command {
  return command.option(
    '--cosign2',
    'sign in the form of cosign 2 too: tags sha256-HEX.sig and .att ($BANKSMAN_COSIGN2)',
  );
}

export function isLabel(text: string): boolean {
  return text.startsWith('//') || text.startsWith(':');
}

/** The registry of the cluster on this machine has no name that anyone else could look up; all others are reached by theirs. */
export async function registryFor(reference: string): Promise<RegistryAccess | undefined> {
  return reference.startsWith('registry.local/') ? (await clusterAccess(localName({}) ?? 'local')).registry : undefined;
}

/** An image of the workspace, built, with the name that it has in an environment's registry. */
export interface NamedImage {
  readonly builder: WorkspaceBuilder;
  readonly environment: Environment;
  readonly image: BuiltImage;
  readonly reference: string;
}

export async function imageOfLabel(label: string, env: string, context: CommandContext): Promise<NamedImage> {
  const { workspace, currentPackage } = await here();
  const environment = environmentOf(workspace, env);
  const builder = await createWorkspaceBuilder(workspace, {
    progress: context.progress,
    signal: context.signal,
    patterns: [label],
    from: currentPackage,
  });
  const [image] = await builder.images([builder.labels[0]!]);
  const { repository, tag } = image!;
  return { builder, environment, image: image!, reference: `${environment.registry}/${repository}:${tag}` };
}

/** What a signing command is told beside its key. */
export function signing(context: CommandContext, key?: string, cosign2?: boolean) {
  return { key, cosign2, askPassword: (what: string) => askPassword(`password of ${what}`), signal: context.signal };
}

/** Reviews of commits, out of git's notes. */
export function reviewsOf(root: string, { progress }: CommandContext): ReviewSource {
  return reviewsInNotes(root, (fault) => progress.say(`warning: ${fault.message}`));
}
