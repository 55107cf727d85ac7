import { spawnSync } from 'node:child_process';
import { GraphFault } from '../fault.ts';
import { gitEnvironment } from './environment.ts';
import { findRepository } from './repository.ts';

/** What BUILD files may ask of git: see the `git_*` functions. Each answer is had once and kept. */
export interface History {
  /** Name of the branch that is checked out; undefined where none is. */
  branch(short: boolean): string | undefined;
  /** Id of the commit that the source tree is, or that the work tree stands on. */
  commit(): string;
  /** The commit in a format of `git show`. */
  show(format: string): string;
  /** Whether the work tree differs from its commit; never for a commit. */
  isDirty(): boolean;
  /** Tags of the commit, sorted. */
  tags(): string[];
  /** What stamped targets are told of the commit; all of it empty where there is none yet, or no repository. */
  stamp(): { readonly revision: string; readonly describe: string; readonly date: string };
}

/**
 * @param folder the workspace's
 * @param commit the commit that is evaluated; undefined for the work tree
 */
export function openHistory(folder: string, commit: string | undefined): History {
  const answers = new Map<string, { readonly ok: boolean; readonly text: string }>();
  /** Evaluation can't wait: these calls stand in the middle of an expression. */
  const ask = (...args: string[]): { readonly ok: boolean; readonly text: string } => {
    const key = args.join('\0');
    const known = answers.get(key);
    if (known !== undefined) return known;
    if (findRepository(folder) === undefined) {
      throw new GraphFault('graph/no-repository', 'this workspace is in no git repository', {
        next: 'run git init and commit the workspace, or leave out the git_ function',
      });
    }
    const { status, stdout, stderr, error } = spawnSync('git', ['--no-optional-locks', '-C', folder, ...args], {
      env: gitEnvironment(),
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    if (error !== undefined) {
      throw new GraphFault('graph/git', `git can't be run: ${error.message}`, { next: 'install git', cause: error });
    }
    const answer = { ok: status === 0, text: status === 0 ? stdout.replace(/\n$/, '') : stderr.trim() };
    answers.set(key, answer);
    return answer;
  };
  const must = (...args: string[]): string => {
    const { ok, text } = ask(...args);
    if (!ok) throw new GraphFault('graph/git', `git ${args[0]} failed`, { notes: text === '' ? [] : [text] });
    return text;
  };
  const revision = commit ?? 'HEAD';
  return {
    branch(short) {
      const { ok, text } = ask('symbolic-ref', '--quiet', ...(short ? ['--short'] : []), 'HEAD');
      return ok ? text : undefined;
    },
    commit: () => commit ?? must('rev-parse', '--verify', 'HEAD'),
    show: (format) => must('show', '--no-patch', `--format=${format}`, revision, '--'),
    isDirty: () => commit === undefined && must('status', '--porcelain') !== '',
    tags: () =>
      must('tag', '--points-at', revision, '--sort=refname')
        .split('\n')
        .filter((tag) => tag !== ''),
    stamp() {
      const known = findRepository(folder) !== undefined && ask('rev-parse', '--verify', revision).ok;
      if (!known) return { revision: '', describe: '', date: '' };
      return {
        revision: commit ?? must('rev-parse', '--verify', 'HEAD'),
        // Abbreviations grow with the repository: a fixed length says the same everywhere.
        describe: must('describe', '--always', '--abbrev=12', revision),
        date: must('show', '--no-patch', '--date=format:%Y%m%d', '--format=%cd', revision, '--'),
      };
    },
  };
}
