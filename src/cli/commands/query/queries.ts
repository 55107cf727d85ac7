import type { CommandModule } from '../../context.ts';

interface QueryEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}

/** Every query, in the order in which `--help` shows them. A query's file has its name. */
export const queries: readonly QueryEntry[] = [
  { name: 'targets', summary: 'labels of the targets that patterns match', load: () => import('./targets.ts') },
  { name: 'deps', summary: 'what targets depend on', load: () => import('./deps.ts') },
  { name: 'revdeps', summary: 'what depends on targets', load: () => import('./revdeps.ts') },
  {
    name: 'somepath',
    summary: 'a chain of dependencies from one target to another',
    load: () => import('./somepath.ts'),
  },
  { name: 'whatinputs', summary: 'targets that take a file', load: () => import('./whatinputs.ts') },
  { name: 'whatoutputs', summary: 'targets that make a file', load: () => import('./whatoutputs.ts') },
  { name: 'print', summary: 'targets as they are when all rules are evaluated', load: () => import('./print.ts') },
  { name: 'graph', summary: 'the whole graph, for other programs', load: () => import('./graph.ts') },
  { name: 'affected', summary: 'targets that a change affects, exactly', load: () => import('./affected.ts') },
  { name: 'explain', summary: 'why a change affects a target', load: () => import('./explain.ts') },
];
