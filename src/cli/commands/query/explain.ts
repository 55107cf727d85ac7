import type { Command } from 'commander';
import {
  type Cause,
  type Explanation,
  explainSince,
  type FileChange,
  type Origin,
  parseLabel,
} from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { graphOptions, here } from '../../workspace.ts';

interface Options {
  readonly since: string;
  readonly to?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .description('why a change affects a target: the chain from what has changed to it')
    .argument('<label>')
    .requiredOption('--since <rev>', 'the commit to compare with: a branch, a tag, HEAD~1')
    .option('--to <rev>', 'the commit that holds the change; the work tree, dirty files included, unless told')
    .option('--json', 'print the explanation as JSON')
    .action(async (text: string, { since, to, json }: Options) => {
      const { workspace, currentPackage } = await here();
      const label = parseLabel(text, currentPackage);
      const explanation = await explainSince(workspace, label, { ...graphOptions(), since, to });
      if (json) context.terminal.print(asJson(explanation));
      else for (const line of lines(explanation)) context.terminal.print(line);
    });
}

function asJson({ otherChains, cause, ...rest }: Explanation): string {
  // As a text where a number would lose digits.
  const count = otherChains <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(otherChains) : otherChains.toString();
  return JSON.stringify({ ...rest, cause: cause ?? null, otherChains: count }, undefined, 2);
}

function lines({ label, chain, cause, otherChains, note }: Explanation & { readonly note?: string }): string[] {
  if (note !== undefined) return [`${label} is affected: ${note}`];
  if (cause === undefined) return [`${label} is not affected`];
  const others = otherChains === 0n ? [] : [`and ${otherChains} other chain${otherChains === 1n ? '' : 's'}`];
  return [causeText(cause), ...chain.map((each) => `  -> ${each}`), ...others];
}

const fileChanges: Readonly<Record<FileChange, string>> = {
  content: 'has other content',
  mode: 'has another mode',
  kind: 'is of another kind',
  added: 'is new',
  removed: 'is gone',
};

function causeText(cause: Cause): string {
  switch (cause.kind) {
    case 'file':
      return `${cause.path} ${fileChanges[cause.change]}`;
    case 'attribute': {
      const where = cause.origins.map(originText).join(', ');
      return `${cause.attribute} comes out otherwise${where === '' ? '' : ` because of ${where}`}`;
    }
    case 'new':
      return 'the target is new';
  }
}

function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'line':
      return `${origin.file}:${origin.line}`;
    case 'file':
      return origin.file;
    case 'configuration':
      return `the configuration key ${origin.key}`;
  }
}
