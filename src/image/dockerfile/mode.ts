/** What `--chmod` makes of a mode (0o7777 at most). */
export type ModeChange = (mode: number, folder: boolean) => number;

const everyone = { u: 6, g: 3, o: 0 } as const;
type Who = keyof typeof everyone;

/**
 * `755`, or `u=rwX,go+r` as chmod(1) has it; without `u`, `g`, `o` it means all, whatever the umask is.
 *
 * @returns undefined where the text is no mode
 */
export function parseMode(text: string): ModeChange | undefined {
  if (/^[0-7]+$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return mode <= 0o7777 ? () => mode : undefined;
  }
  const clauses = text.split(',').map(parseClause);
  if (!clauses.every((clause) => clause !== undefined)) return undefined;
  return (mode, folder) => clauses.flat().reduce((before, action) => apply(action, before, mode, folder), mode);
}

interface Action {
  readonly who: readonly Who[];
  readonly all: boolean;
  readonly operator: '+' | '-' | '=';
  readonly permissions: string;
}

function parseClause(clause: string): readonly Action[] | undefined {
  const [, who = '', actions = ''] = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause) ?? [];
  if (actions === '') return undefined;
  const all = who === '' || who.includes('a');
  const classes = (['u', 'g', 'o'] as const).filter((each) => all || who.includes(each));
  return [...actions.matchAll(/([-+=])([ugo]|[rwxXst]*)/g)].map(([, operator, permissions = '']) => ({
    who: classes,
    all,
    operator: operator as Action['operator'],
    permissions,
  }));
}

/** @param original the mode before all clauses: what X looks at */
function apply({ who, all, operator, permissions }: Action, mode: number, original: number, folder: boolean): number {
  let set = 0;
  let cleared = 0;
  const copied = permissions as Who;
  for (const each of who) {
    const shift = everyone[each];
    let bits = 0;
    if (permissions === 'u' || permissions === 'g' || permissions === 'o') bits = (mode >> everyone[copied]) & 0o7;
    else {
      if (permissions.includes('r')) bits |= 0o4;
      if (permissions.includes('w')) bits |= 0o2;
      if (permissions.includes('x')) bits |= 0o1;
      if (permissions.includes('X') && (operator === '-' || folder || (original & 0o111) !== 0)) bits |= 0o1;
    }
    set |= bits << shift;
    cleared |= 0o7 << shift;
  }
  if (permissions.includes('s')) {
    if (who.includes('u')) set |= 0o4000;
    if (who.includes('g')) set |= 0o2000;
  }
  if (permissions.includes('t') && (all || who.includes('u') || who.includes('g'))) set |= 0o1000;
  if (who.includes('u')) cleared |= 0o4000;
  if (who.includes('g')) cleared |= 0o2000;
  if (permissions.includes('t')) cleared |= 0o1000;
  if (operator === '+') return mode | set;
  if (operator === '-') return mode & ~set;
  return (mode & ~cleared) | set;
}
