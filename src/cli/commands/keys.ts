import { access } from 'node:fs/promises';
import type { Command } from 'commander';
import { writeAtomically } from '../../disk/index.ts';
import { generateKeys, ProofFault, passwordIn } from '../../image/index.ts';
import type { CommandContext } from '../context.ts';
import { askPassword } from '../password.ts';
import { UsageFault } from '../usage.ts';

export function define(command: Command, { terminal }: CommandContext): void {
  command.addHelpText(
    'after',
    `
Examples:
  banksman keys generate                  banksman.key and banksman.pub
  banksman keys generate --out keys/ci`,
  );
  command
    .command('generate')
    .summary('make a pair of keys to sign images with')
    .description('Makes a pair of keys to sign images with: ECDSA on P-256, in files that cosign reads too.')
    .option('--out <path>', 'path of the files, without .key and .pub', 'banksman')
    .addHelpText(
      'after',
      `
The private key is encrypted with a password: from BANKSMAN_KEY_PASSWORD, from the file that BANKSMAN_KEY_PASSWORD_FILE
names, or asked for on the terminal. The public key belongs beside the policy; the private one into no repository.

Examples:
  banksman keys generate --out keys/ci
  BANKSMAN_KEY_PASSWORD_FILE=/run/secrets/password banksman keys generate`,
    )
    .action(async ({ out }: { out: string }) => {
      for (const path of [`${out}.key`, `${out}.pub`]) {
        const there = await access(path).then(
          () => true,
          () => false,
        );
        if (there)
          throw new UsageFault('cli/wrong-use', `${path} is there already`, { next: 'give another path with --out' });
      }
      const { privateKey, publicKey } = await generateKeys(await newPassword());
      await writeAtomically(`${out}.key`, privateKey, 0o600);
      await writeAtomically(`${out}.pub`, publicKey);
      terminal.print(`${terminal.paint.good('✓')} ${out}.key (keep it secret) and ${out}.pub`);
    });
}

async function newPassword(): Promise<string> {
  const given = await passwordIn(process.env);
  if (given !== undefined) return given;
  const once = await askPassword('password for the new key');
  if (once === undefined) {
    throw new ProofFault('proof/wrong-password', 'there is no password for the new key, and no terminal to ask on', {
      next: 'put one into BANKSMAN_KEY_PASSWORD, or the path of its file into BANKSMAN_KEY_PASSWORD_FILE',
    });
  }
  if (once === (await askPassword('the same again'))) return once;
  throw new ProofFault('proof/wrong-password', 'the two passwords differ', { next: 'try again' });
}
