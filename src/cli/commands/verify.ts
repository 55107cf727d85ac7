import type { Command } from 'commander';
import { verifyReference } from '../../release/index.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { imageOfLabel, isLabel, registryFor } from '../proof.ts';
import { registriesHere } from '../registries.ts';

interface Options {
  readonly policy: string;
  readonly env: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withEnvironmentOption(command.argument('<image>', "an image's name in a registry, or a label of the workspace"))
    .requiredOption('--policy <file>', 'what the image must fulfil; docs/proof.md says how it is written')
    .option('--json', 'print the verdict as JSON')
    .addHelpText(
      'after',
      `
Looks at what was signed and put beside an image in its registry, and holds it against a policy: who signed it, who built it
of which commit, who reviewed that commit. Whatever can't be found out counts as missing.

Examples:
  banksman verify registry.example/bank/ledger:c3823eb42513 --policy policies/prod.yaml
  banksman verify //bank/ledger:image --env prod --policy policies/prod.yaml --json

Exit codes: 0 it fulfils the policy, 1 it does not, 2 wrong use.`,
    )
    .action(async (name: string, { policy, env, json }: Options) => {
      const { terminal, signal } = context;
      const reference = isLabel(name) ? (await imageOfLabel(name, env, context)).reference : name;
      const verdict = await verifyReference({
        reference,
        policy,
        registry: await registryFor(reference),
        registries: await registriesHere(),
        signal,
      });
      terminal.clear();
      if (!verdict.passed) process.exitCode = 1;
      if (json) return terminal.print(JSON.stringify(verdict, undefined, 2));
      const { paint } = terminal;
      terminal.print(`${reference}${verdict.digest === undefined ? '' : `  ${verdict.digest}`}`);
      for (const { name: check, passed, message, next } of verdict.checks) {
        terminal.print(`  ${passed ? paint.good('✓') : paint.bad('✗')} ${check}: ${message}`);
        if (!passed && next !== undefined) terminal.print(`      next: ${next}`);
      }
      terminal.print(verdict.passed ? `it fulfils ${policy}` : `it does not fulfil ${policy}`);
    });
}
