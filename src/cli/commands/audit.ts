import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import {
  type AuditEntry,
  AuditFault,
  makeCheckpoint,
  migrateAudit,
  newCheckpointKey,
  parseCheckpoint,
  readEntries,
  readPrivateKey,
  readPublicKey,
  verifyLog,
} from '../../audit/index.ts';
import { DatabaseFault } from '../../database/index.ts';
import { writeAtomically } from '../../disk/index.ts';
import type { CommandContext } from '../context.ts';
import { type DatabaseChoice, withDatabase, withDatabaseOption } from '../database.ts';
import { UsageFault } from '../usage.ts';

export function define(command: Command, context: CommandContext): void {
  command.addHelpText(
    'after',
    `
Each entry of the log holds the hash of the one before. A checkpoint signs how far the log goes; kept elsewhere, it tells of what is
cut off or written anew.

Examples:
  banksman audit verify --key audit.pub --checkpoint /mnt/elsewhere/checkpoint.json
  banksman audit list --subject //bank/ledger:ledger
  banksman audit key --private audit.key --public audit.pub
  banksman audit checkpoint --private audit.key --out /mnt/elsewhere/checkpoint.json`,
  );
  defineVerify(command.command('verify'), context);
  defineList(command.command('list'), context);
  defineCheckpoint(command.command('checkpoint'), context);
  defineKey(command.command('key'), context);
}

const several = (word: string, so: readonly string[] = []) => [...so, word];

function defineVerify(command: Command, { terminal }: CommandContext): void {
  withDatabaseOption(command.summary('find any edit, deletion or reorder of the log'))
    .description('reads the whole log and finds what was edited, deleted, put in or put elsewhere')
    .option('--key <file>', 'a public key whose checkpoints are believed; may be given again', several)
    .option('--checkpoint <file>', 'a checkpoint that was kept elsewhere; may be given again', several)
    .option('--json', 'print {entries, hash, signedUpTo, findings} as JSON')
    .action(async (options: DatabaseChoice & { key?: string[]; checkpoint?: string[]; json?: boolean }) => {
      const keys = await Promise.all((options.key ?? []).map(async (file) => readPublicKey(await textOf(file))));
      const elsewhere = await Promise.all(
        (options.checkpoint ?? []).map(async (file) => parseCheckpoint(await textOf(file), file)),
      );
      if (elsewhere.length > 0 && keys.length === 0) {
        throw new UsageFault('cli/wrong-use', 'a checkpoint says nothing without the key that signed it', {
          next: 'give --key FILE',
        });
      }
      // Whoever verifies needs no right to write, and makes no log where there is none.
      const result = await withDatabase(options, (database) => verifyLog(database, keys, elsewhere)).catch(noLog);
      if (options.json) terminal.print(JSON.stringify(result, undefined, 2));
      const { entries, signedUpTo, findings } = result;
      if (findings.length === 0) {
        if (options.json) return;
        const vouched = signedUpTo > 0 ? `, signed up to ${signedUpTo}` : ', no checkpoint vouches for it';
        terminal.print(`${terminal.paint.good('whole')}: ${entries} entries${vouched}`);
        return;
      }
      throw new AuditFault('audit/broken', `the audit log is not as it was written: ${findings.length} findings`, {
        notes: findings.map(({ number, what }) => `entry ${number}: ${what}`),
        next: 'stop writing to this database, keep a copy of it, and compare it with a backup',
      });
    });
}

/** SQLSTATE undefined_table. */
function noLog(error: unknown): never {
  if (!(error instanceof DatabaseFault) || error.state !== '42P01') throw error;
  throw new AuditFault('audit/no-log', 'this database has no audit log', {
    next: 'name the database of the server with --database; `banksman audit checkpoint` makes a log where there is none',
    cause: error,
  });
}

function defineList(command: Command, { terminal }: CommandContext): void {
  withDatabaseOption(command.summary('print entries'))
    .description('prints entries in their order')
    .option('--subject <text>', 'only of this subject')
    .option('--who <name>', 'only of this person')
    .option('--after <number>', 'only entries after this one', wholeNumber)
    .option('--limit <number>', 'at most so many; 100 unless told', wholeNumber)
    .option('--json', 'print a JSON list')
    .action(
      async (
        options: DatabaseChoice & { subject?: string; who?: string; after?: number; limit?: number; json?: boolean },
      ) => {
        const { subject, who, after, limit } = options;
        const filter = { subject, who, after, limit };
        const entries = await withDatabase(options, (database) => readEntries(database, filter)).catch(noLog);
        if (options.json) terminal.print(JSON.stringify(entries, undefined, 2));
        else for (const entry of entries) terminal.print(lineOf(entry));
      },
    );
}

function lineOf({ number, at, event }: AuditEntry): string {
  const { who, action, subject, source, why } = event;
  return `${number}  ${at}  ${who}  ${action}  ${subject}  from ${source}${why === undefined ? '' : `  "${why}"`}`;
}

function defineCheckpoint(command: Command, { terminal }: CommandContext): void {
  withDatabaseOption(command.summary('sign how far the log goes'))
    .description('signs how far the log goes; keep the file where who can write the database can not')
    .requiredOption('--private <file>', 'the private key')
    .requiredOption('--out <file>', 'where the checkpoint is written')
    .action(async (options: DatabaseChoice & { private: string; out: string }) => {
      const key = readPrivateKey(await textOf(options.private));
      const checkpoint = await withDatabase(options, async (database) => {
        await migrateAudit(database);
        return await makeCheckpoint(database, key, Date.now());
      });
      if (checkpoint === undefined) return terminal.print('nothing was written since the last checkpoint');
      await writeAtomically(resolve(options.out), `${JSON.stringify(checkpoint, undefined, 2)}\n`);
      terminal.print(`signed up to entry ${checkpoint.number}: ${options.out}`);
    });
}

function defineKey(command: Command, { terminal }: CommandContext): void {
  command
    .summary('make a pair of keys for checkpoints')
    .description('makes a pair of keys (Ed25519): the private one signs checkpoints, the public one checks them')
    .requiredOption('--private <file>', 'where the private key is written, for its owner alone')
    .requiredOption('--public <file>', 'where the public key is written')
    .action(async (options: { private: string; public: string }) => {
      const { privateKey, publicKey } = newCheckpointKey();
      for (const file of [options.private, options.public]) await refuseExisting(file);
      await writeAtomically(resolve(options.private), privateKey, 0o600);
      await writeAtomically(resolve(options.public), publicKey);
      terminal.print(`${options.private} signs, ${options.public} checks`);
    });
}

/** A key that is written over is lost, and with it what it has signed. */
async function refuseExisting(file: string): Promise<void> {
  const there = await readFile(resolve(file)).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
  if (there) throw new UsageFault('cli/wrong-use', `${file} exists`, { next: 'name another file' });
}

async function textOf(file: string): Promise<string> {
  return await readFile(resolve(file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageFault('cli/wrong-use', `${file} can't be read: ${error.message}`, { place: { file } });
  });
}

function wholeNumber(text: string): number {
  if (!/^(?:0|[1-9][0-9]{0,9})$/.test(text)) throw new UsageFault('cli/wrong-use', `'${text}' is not a whole number`);
  return Number(text);
}
