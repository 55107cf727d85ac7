/** Which labels a list is about. */
export interface LabelFilter {
  readonly exact: readonly string[];
  /** Beginnings of labels. */
  readonly beginnings: readonly string[];
}

/**
 * Reads patterns as the command line takes them: `//bank/...`, `//bank/ledger`, `//bank/ledger:ledger`, `//bank/ledger:all`.
 *
 * @returns undefined where one is none of these
 */
export function labelFilterOf(patterns: readonly string[]): LabelFilter | undefined {
  const exact: string[] = [];
  const beginnings: string[] = [];
  for (const pattern of patterns) {
    const parts = /^\/\/([^\s:]{0,200}?)(\/?\.\.\.)?(?::([^\s:/]{1,100}))?$/.exec(pattern);
    if (parts === null) return undefined;
    const [, path = '', below, name] = parts;
    if (below !== undefined) {
      if (name !== undefined || (path !== '' && below === '...')) return undefined;
      beginnings.push(...(path === '' ? ['//'] : [`//${path}/`, `//${path}:`]));
    } else if (name === 'all') beginnings.push(`//${path}:`);
    else if (path === '' && name === undefined) return undefined;
    else exact.push(`//${path}:${name ?? path.split('/').at(-1)}`);
  }
  return { exact, beginnings };
}
