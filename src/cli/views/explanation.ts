import type { Cause, Explanation, FileChange, Origin } from '../../graph/index.ts';

/** As JSON has it. */
export function explanationObject({ otherChains, cause, ...rest }: Explanation): unknown {
  // As a text where a number would lose digits.
  const count = otherChains <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(otherChains) : otherChains.toString();
  return { ...rest, cause: cause ?? null, otherChains: count };
}

/** The cause, and the chain from it to the target. */
export function explanationLines({
  label,
  chain,
  cause,
  otherChains,
  note,
}: Explanation & { readonly note?: string }): string[] {
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
    case 'any file':
      return 'some file has changed, and its post_build function may lead to any';
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
