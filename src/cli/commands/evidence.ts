import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { AuditFault, readPrivateKey, readPublicKey } from '../../audit/index.ts';
import { writeAtomically } from '../../disk/index.ts';
import { openWorkspace } from '../../graph/index.ts';
import { commitEvidence, type Evidence, sealEvidence, verifyEvidence } from '../../release/index.ts';
import { type Api, apiOf, type ServerChoice, servicePath, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly rollout?: string;
  readonly commit?: string;
  readonly output?: string;
  readonly private?: string;
}

interface RolloutPage {
  readonly items: readonly { readonly id: string; readonly commit?: string }[];
  readonly next?: string;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option('--rollout <id>', 'which rollout; the newest unless told')
    .option('--commit <commit>', 'the newest rollout of the release of this commit, in its place')
    .option('--private <file>', 'a private key (banksman audit key) that seals it')
    .option('--output <file>', 'where it is written')
    .addHelpText(
      'after',
      `
Writes one file (JSON) with everything that is known of a rollout: commit, reviews, tests, images with their statements, policy, approvals,
gates, steps, holds, and the entries of the audit log with the checkpoint that covers them. In a clone of the repository it holds the commit itself.

Examples:
  banksman evidence //bank/ledger --env prod --output ledger.evidence.json
  banksman evidence verify ledger.evidence.json --key audit.pub`,
    )
    .action((service: string, options: Options) => write(service, options, context));
  defineVerify(command.command('verify'), context);
}

async function write(service: string, options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const { output } = options;
  if (output === undefined) {
    throw new UsageFault('cli/wrong-use', 'nobody said where it is to be written', { next: 'give --output FILE' });
  }
  const key = options.private === undefined ? undefined : readPrivateKey(await textOf(options.private));
  const call = apiOf(options, context);
  const path = await servicePath(service, options.env, context);
  const rollout = options.rollout ?? (await newestRollout(call, path, options.commit));
  const found = (await call('GET', `${path}/rollouts/${encodeURIComponent(rollout)}/evidence`)) as Evidence;
  const { commit: name } = found.summary as { commit: string };
  const workspace = await openWorkspace(process.cwd()).catch(() => undefined);
  const commit = workspace && (await commitEvidence(workspace.root, name));
  const evidence = await sealEvidence({ ...found, ...(commit !== undefined && { commit }) }, key);
  await writeAtomically(resolve(output), `${JSON.stringify(evidence, undefined, 2)}\n`);
  terminal.print(`rollout ${rollout} of commit ${name.slice(0, 12)}: ${output}`);
  if (commit === undefined) context.progress.say('note: the commit itself is not in it; no clone here has it');
}

async function newestRollout(call: Api, path: string, commit: string | undefined): Promise<string> {
  for (let before = ''; ; ) {
    const page = (await call('GET', `${path}/rollouts?limit=100${before}`)) as RolloutPage;
    const found = page.items.find((item) => commit === undefined || item.commit?.startsWith(commit) === true);
    if (found !== undefined) return found.id;
    if (page.next === undefined) break;
    before = `&before=${encodeURIComponent(page.next)}`;
  }
  throw new UsageFault(
    'cli/wrong-use',
    commit === undefined ? 'there was no rollout' : `there was no rollout of ${commit}`,
    {
      next: 'see `banksman history`',
    },
  );
}

function defineVerify(command: Command, { terminal }: CommandContext): void {
  command
    .summary('check evidence, without a network')
    .description('checks the log, sums, digests and signatures of an evidence file, and names what is wrong')
    .argument('<file>', 'what `banksman evidence` has written')
    .option('--key <file>', 'a public key whose checkpoints and seals are believed; may be given again', several)
    .option('--json', 'print {findings, open} as JSON')
    .action(async (file: string, options: { key?: string[]; json?: boolean }) => {
      const keys = await Promise.all((options.key ?? []).map(async (name) => readPublicKey(await textOf(name))));
      const verdict = await verifyEvidence(parse(await textOf(file), file), keys);
      if (options.json) terminal.print(JSON.stringify(verdict, undefined, 2));
      else for (const line of verdict.open) terminal.print(`open: ${line}`);
      if (verdict.findings.length > 0) {
        throw new AuditFault('audit/broken', `${file} is not as it was written: ${verdict.findings.length} findings`, {
          notes: verdict.findings.map(({ part, what }) => `${part}: ${what}`),
          next: 'make it anew, and compare the two',
        });
      }
      if (!options.json) terminal.print(`${terminal.paint.good('whole')}: ${file}`);
    });
}

const several = (word: string, so: readonly string[] = []) => [...so, word];

function parse(text: string, file: string): Evidence {
  try {
    const value = JSON.parse(text) as Partial<Evidence> | null;
    const parts = [value?.about, value?.log?.entries, value?.release?.blobs, value?.images, value?.tests, value?.sum];
    if (value?.format === 'banksman-evidence-1' && parts.every((part) => part !== undefined)) return value as Evidence;
  } catch {
    // Told below.
  }
  throw new UsageFault('cli/wrong-use', `${file} is no evidence`, {
    place: { file },
    next: 'name a file that `banksman evidence` has written',
  });
}

async function textOf(file: string): Promise<string> {
  return await readFile(resolve(file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageFault('cli/wrong-use', `${file} can't be read: ${error.message}`, { place: { file } });
  });
}
