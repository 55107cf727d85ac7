import { EvaluationError, type NativeFunction } from '../../language/index.ts';
import { define } from './define.ts';

/** Verbs of `git show --format` that say the same of a commit wherever and whenever it is asked. */
const verbs = ['%H', '%T', '%P', '%an', '%ae', '%at', '%cn', '%ce', '%ct', '%D', '%e', '%s', '%f', '%b', '%B', '%N'];
const signatures = ['%GG', '%G?', '%GS', '%GK', '%n', '%%', '%h', '%t', '%p'];

/** What BUILD files may know of the commit under evaluation. A target that uses it changes with every commit. */
export const gitFunctions: readonly NativeFunction[] = [
  define({
    name: 'git_branch',
    documentation:
      'Name of the branch that is checked out; empty where none is. With short = False it begins with refs/heads/.',
    parameters: [{ name: 'short', type: 'bool', fallback: true }],
    implementation: ([short], { context }) => context.history().branch(short === true) ?? '',
  }),
  define({
    name: 'git_commit',
    documentation: 'Id of the commit: git_commit()[0:8] is short.',
    parameters: [],
    implementation: (_, { context }) => context.history().commit(),
  }),
  define({
    name: 'git_show',
    documentation: `What git show says of the commit in a format. Known are ${[...verbs, ...signatures].join(' ')}.`,
    parameters: [{ name: 'format', type: 'str', aliases: ['fmt'] }],
    implementation: ([format], { context }) => {
      for (const verb of (format as string).match(/%(?:[acG].|.)?/g) ?? []) {
        if (verbs.includes(verb) || signatures.includes(verb)) continue;
        throw new EvaluationError('language/value', `git_show doesn't know ${verb}`, `it knows ${verbs.join(' ')}`);
      }
      return context.history().show(format as string);
    },
  }),
  define({
    name: 'git_state',
    documentation: 'Whether the work tree is as its commit: one of two words.',
    parameters: [
      { name: 'clean_label', type: 'str', fallback: 'clean' },
      { name: 'dirty_label', type: 'str', fallback: 'dirty' },
    ],
    implementation: ([clean, dirty], { context }) => (context.history().isDirty() ? dirty! : clean!),
  }),
  define({
    name: 'git_tags',
    documentation: 'Tags of the commit, sorted.',
    parameters: [],
    implementation: (_, { context }) => context.history().tags(),
  }),
];
