import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

export function define(command: Command, context: CommandContext): void {
  command
    .argument('[shell]', shells.join(', '))
    .option('--line <text>', 'print how a command line can go on, one possibility a line: what the shells ask')
    .addHelpText(
      'after',
      `
Examples:
  banksman completion bash > /etc/bash_completion.d/banksman      for everybody on this machine
  source <(banksman completion bash)                              in ~/.bashrc
  source <(banksman completion zsh)                               in ~/.zshrc, behind compinit
  banksman completion fish > ~/.config/fish/completions/banksman.fish`,
    )
    .action(async (shell: string | undefined, options: { line?: string }) => {
      if (options.line !== undefined) {
        const { completions } = await import('../completion/completions.ts');
        const found = await completions(options.line, context.commandNames);
        if (found.length > 0) context.terminal.print(found.join('\n'));
        return;
      }
      const known = shells.find((each) => each === shell);
      if (known === undefined) {
        throw new UsageFault(
          'cli/wrong-use',
          shell === undefined ? 'no shell is named' : `there is no completion for ${shell}`,
          {
            next: `name one of ${shells.join(', ')}`,
          },
        );
      }
      const { scripts } = await import('../completion/scripts.ts');
      context.terminal.print(scripts[known]);
    });
}
