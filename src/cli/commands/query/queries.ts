import type { CommandModule } from '../../context.ts';

interface QueryEntry {
  readonly name: string;
  readonly summary: string;
  /** Without `banksman query`, with what they show. */
  readonly examples: readonly string[];
  load(): Promise<CommandModule>;
}

/** Every query, in the order in which `--help` shows them. A query's file has its name. */
export const queries: readonly QueryEntry[] = [
  {
    name: 'targets',
    examples: [
      'targets //...                        every target',
      'targets //bank/ledger:all            those of one package',
      'targets :image                       by its name, from its folder',
      'targets //... --include test --json  those with a label, as JSON',
    ],
    summary: 'labels of the targets that patterns match',
    load: () => import('./targets.ts'),
  },
  {
    name: 'deps',
    examples: [
      'deps //bank/ledger:image              all that it is made of',
      'deps //bank/ledger:image --levels 1   what it names itself',
    ],
    summary: 'what targets depend on',
    load: () => import('./deps.ts'),
  },
  {
    name: 'revdeps',
    examples: [
      'revdeps //bank/common/metrics         all who would feel a change to it',
      'revdeps //bank/common/metrics --levels 1 --include test',
    ],
    summary: 'what depends on targets',
    load: () => import('./revdeps.ts'),
  },
  {
    name: 'somepath',
    examples: [
      'somepath //bank/ledger:service //third_party/java:postgresql',
      'somepath :service //bank/common/...    to any of several',
    ],
    summary: 'a chain of dependencies from one target to another',
    load: () => import('./somepath.ts'),
  },
  {
    name: 'whatinputs',
    examples: [
      'whatinputs bank/ledger/migrations/V1__start.sql',
      'whatinputs $(git diff --name-only HEAD~1)   those that take any of some files',
    ],
    summary: 'targets that take a file',
    load: () => import('./whatinputs.ts'),
  },
  {
    name: 'whatoutputs',
    examples: ['whatoutputs banksman-out/gen/bank/ledger/server.jar'],
    summary: 'targets that make a file',
    load: () => import('./whatoutputs.ts'),
  },
  {
    name: 'print',
    examples: ['print //bank/ledger:server           as its rules came to it', 'print //bank/ledger:all --json'],
    summary: 'targets as they are when all rules are evaluated',
    load: () => import('./print.ts'),
  },
  {
    name: 'graph',
    examples: [
      'graph                                one line for each dependency',
      'graph --json --hashes > graph.json   for other programs',
      'graph //bank/ledger:image            what one target depends on',
    ],
    summary: 'the whole graph, for other programs',
    load: () => import('./graph.ts'),
  },
  {
    name: 'affected',
    examples: [
      'affected --since origin/main          what differs from main, dirty files included',
      'affected --since HEAD~1 --to HEAD     what a commit changed',
      'affected --since $(git merge-base origin/main HEAD) --tests   the tests of a branch',
      'affected --since origin/main --services --json',
    ],
    summary: 'targets that a change affects, exactly',
    load: () => import('./affected.ts'),
  },
  {
    name: 'explain',
    examples: [
      'explain //bank/ledger:image --since origin/main',
      'explain //bank/ledger:image --since HEAD~1 --to HEAD --json',
    ],
    summary: 'why a change affects a target',
    load: () => import('./explain.ts'),
  },
];
