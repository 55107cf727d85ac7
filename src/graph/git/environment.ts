/** The environment in which git is run: messages in English, nothing asked of a person, and no other repository than the one named. */
export function gitEnvironment(): Record<string, string | undefined> {
  // Variables that would make git look at another repository, such as in a hook.
  const { GIT_DIR: _d, GIT_WORK_TREE: _w, GIT_INDEX_FILE: _i, GIT_PREFIX: _p, ...rest } = process.env;
  return { ...rest, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0' };
}
