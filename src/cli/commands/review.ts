import type { Command } from 'commander';
import { writeAtomically } from '../../disk/index.ts';
import { formatBundle, formatStatement, intotoPayload, reviewStatement, signEnvelope } from '../../image/index.ts';
import { noteReview, requireProofSettings, reviewNotes } from '../../release/index.ts';
import { commitNamed } from '../commit.ts';
import type { CommandContext } from '../context.ts';
import { signing, withKeyOption } from '../proof.ts';
import { here } from '../workspace.ts';

interface Options {
  readonly approvedBy: string[];
  readonly author?: string;
  readonly change?: string;
  readonly out?: string;
  readonly key?: string;
}

export function define(command: Command, context: CommandContext): void {
  command.addHelpText(
    'after',
    `
Examples:
  banksman review sign HEAD --approved-by grace@bank.example --key review.key`,
  );
  const sign = command
    .command('sign')
    .summary('state who approved a commit, signed, in its git notes')
    .description('States who approved a commit, signed, in its git notes.')
    .argument('<commit>', 'the commit that was reviewed, and is built')
    .requiredOption('--approved-by <name...>', 'who approved it; several times or several names')
    .option('--author <name>', "who wrote it; the commit's author's address unless told")
    .option('--change <url>', 'where the review can be read up')
    .option('--out <file>', `a file to write the statement to, in place of ${reviewNotes}`);
  withKeyOption(sign)
    .addHelpText(
      'after',
      `
For whatever keeps the reviews: a forge's pipeline, a server. Whoever holds its key can say that anything was reviewed.
\`banksman image attest\` and a signing \`banksman deploy\` put the statement beside the images of that commit, where
policies look for it. Share the notes with: git push origin ${reviewNotes}

Examples:
  banksman review sign HEAD --approved-by grace@bank.example --key review.key
  banksman review sign 3f9ac21b --approved-by grace@bank.example --change https://git.example/changes/12`,
    )
    .action(async (text: string, options: Options) => {
      const { workspace } = await here();
      const { commit, author } = await commitNamed(workspace.root, text);
      const { signer } = await requireProofSettings(signing(context, options.key));
      const statement = reviewStatement({
        commit,
        author: options.author ?? author,
        approvers: options.approvedBy,
        change: options.change,
      });
      const envelope = await signEnvelope(intotoPayload, formatStatement(statement), signer);
      const bundle = formatBundle(envelope, signer.publicKey);
      if (options.out !== undefined) await writeAtomically(options.out, `${bundle}\n`);
      else await noteReview(workspace.root, commit, bundle);
      const { terminal } = context;
      const where = options.out ?? reviewNotes;
      terminal.print(`${terminal.paint.good('✓')} ${commit} approved by ${options.approvedBy.join(', ')}, in ${where}`);
    });
}
