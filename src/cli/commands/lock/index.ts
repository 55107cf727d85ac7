import type { Command } from 'commander';
import type { CommandContext } from '../../context.ts';

export async function define(command: Command, context: CommandContext): Promise<void> {
  command.addHelpText(
    'after',
    `
Examples:
  banksman lock debian                the newest versions, for every debian_packages target
  banksman lock debian --if-gone      only where a locked version can't be had any more
  banksman lock go                    sums and packages of every go_repo
  banksman lock python                sums of the wheels of every pip_library, for this kind of machine
  banksman lock maven                 sums of every maven_jar that has none in its BUILD file`,
  );
  // One after another, so that help shows them in this order.
  for (const load of [
    () => import('./debian.ts'),
    () => import('./go.ts'),
    () => import('./python.ts'),
    () => import('./maven.ts'),
  ])
    (await load()).define(command, context);
}
