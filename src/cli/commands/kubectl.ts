import type { Command } from 'commander';
import { ensureEngine, kubectl } from '../../local/index.ts';
import { engineSource, localName } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { runToEnd } from '../run-to-end.ts';

export function define(command: Command, { progress, signal }: CommandContext): void {
  command
    .argument('[words...]', "kubectl's own words")
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async (words: string[]) => {
      // With --context or --kubeconfig the user names another cluster: the client is ours, the configuration theirs.
      if (words.some((word) => /^--(context|kubeconfig)(=|$)/.test(word))) {
        const { engine } = await ensureEngine({ engineSource, progress, signal });
        process.exitCode = await runToEnd(engine, ['kubectl', ...words], process.env);
        return;
      }
      const name = localName({}) ?? 'local';
      const { program, args, env } = await kubectl({ name, engineSource, progress, signal, args: words });
      process.exitCode = await runToEnd(program, args, env);
    });
}
