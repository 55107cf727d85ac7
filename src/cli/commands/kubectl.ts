import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { kubectl } from '../../local/index.ts';
import { engineSource, localName } from '../cluster.ts';
import type { CommandContext } from '../context.ts';

export function define(command: Command, { progress, signal }: CommandContext): void {
  command
    .argument('[words...]', "kubectl's own words")
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async (words: string[]) => {
      // With --context or --kubeconfig the user names another cluster: the client is ours, the configuration theirs.
      const theirs = words.some((word) => /^--(context|kubeconfig)(=|$)/.test(word));
      const name = localName({}) ?? 'local';
      const invocation = await kubectl({ name, engineSource, progress, signal, args: words });
      process.exitCode = await runToEnd(invocation.program, invocation.args, theirs ? process.env : invocation.env);
    });
}

function runToEnd(program: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env: env as NodeJS.ProcessEnv });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
