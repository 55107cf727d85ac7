import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { banksman, makeWorkspace, repository } from '../e2e/workspace.ts';

const run = promisify(execFile);

/** How each shell is started with nothing but the completion script. */
const shells: Readonly<Record<string, (script: string) => { command: string[]; setup: string }>> = {
  bash: (script) => ({ command: ['bash', '--norc', '--noprofile', '-i'], setup: `. ${script}` }),
  zsh: (script) => ({
    command: ['zsh', '-f', '-i'],
    setup: `autoload -U compinit && compinit -u -D && . ${script}`,
  }),
  fish: (script) => ({ command: ['fish', '--no-config', '-i'], setup: `source ${script}` }),
};

describe.each(Object.keys(shells))('in %s, as it is typed', (shell) => {
  it('completes commands, queries, folders, packages and targets, and runs what was completed', async () => {
    const { root, remove } = await makeWorkspace({
      'banksman.yaml': 'name: x\n',
      'apples/BUILD': 'filegroup(name = "green")\nfilegroup(name = "red")\nfilegroup(name = "ripe")\n',
      'apples/pie/BUILD': 'filegroup(name = "crust")\n',
      'pears/BUILD': 'filegroup(name = "pears")\n',
    });
    onTestFinished(remove);
    const script = join(root, 'completion-script');
    await writeFile(script, (await banksman(root, ['completion', shell])).stdout);
    const { command, setup } = shells[shell]!(script);
    // What a program prints is marked, so that it is told from what is typed.
    const steps = [
      [`${setup}; echo rea''dy\n`, 'ready'],
      // One way on: the word is finished.
      ['banksman qu\ttargets //pe\tpe\t| sed s/^/got:/\n', 'got://pears:pears'],
      ['banksman query tar\t//apples:g\t| sed s/^/got:/\n', 'got://apples:green'],
      ['cd apples\n', ''],
      ['banksman query targets :g\t| sed s/^/again:/\n', 'again://apples:green'],
      // Several ways on: they are shown.
      ['cd ..\n', ''],
      ['banksman query targets //apples:r\t\t', 'ripe'],
    ];
    const { stdout } = await run(
      'python3',
      [join(repository, 'test/support/typing.py'), JSON.stringify(steps), ...command],
      {
        cwd: root,
        env: { ...process.env, PATH: `${join(repository, 'bin')}:${process.env.PATH}`, TERM: 'xterm', HOME: root },
      },
    );
    expect(stdout).toMatch(/\bred\b/);
  }, 120_000);
});
