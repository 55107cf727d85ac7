import { constants } from 'node:os';
import { Command, CommanderError } from 'commander';
import { faultToJson, nearest, renderFault } from '../fault/index.ts';
import { inSpan, parseTraceparent, startTracing, type Tracing } from '../trace/index.ts';
import { commands } from './commands/index.ts';
import type { CommandContext } from './context.ts';
import { createTerminal } from './terminal.ts';
import { isUsageFault, UsageFault } from './usage.ts';
import { version } from './version.ts';

const description = `Takes a change in a monorepo and lands it safely on Kubernetes.

One graph, from a line of code to a running pod: builds what a change affects, names images
by their content, renders manifests, rolls out, watches, and goes back.`;

/** Milliseconds that a command waits at its end for whoever receives its spans. */
const lastSpans = 1_000;

const examples = `
Examples:
  banksman up                                 a Kubernetes cluster on this machine
  banksman deploy --env dev                   build, push and roll out what changed
  banksman status                             the cluster, and every service with its pods
  banksman query affected --since origin/main what a change touches
  banksman rollback //bank/ledger --env dev   back to the last good release

Run 'banksman COMMAND --help' for a command's own options and examples.
Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by ^C.`;

/**
 * Runs one command line.
 *
 * @param args the words after the program's name
 * @returns the exit code: 0 done, 1 failed, 2 wrong use, 130 stopped by ^C
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  // `kubectl` takes all words as its own, --help and --json among them.
  const passesThrough = args[0] === 'kubectl';
  const json = !passesThrough && args.includes('--json');
  const plain = args.filter((arg) => !arg.startsWith('-'));
  const words = plain[0] === 'help' ? plain.slice(1) : plain;
  const terminal = createTerminal();
  // `banksman ... | head`: a reader that has enough ends the program, as it ends any other.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(128 + constants.signals.SIGPIPE);
  });
  const stop = new AbortController();
  const interrupted = () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort(new Error('interrupted'));
  };
  process.on('SIGINT', interrupted);
  process.on('SIGTERM', interrupted);
  const ends: (() => Promise<void>)[] = [];
  const tracing = await startTracing({
    service: words[0] === 'server' ? 'banksman-server' : 'banksman',
    version: version(),
  });
  try {
    const program = await createProgram(args, {
      terminal,
      progress: terminal.progress,
      signal: stop.signal,
      atEnd: (body) => ends.push(body),
      words,
      commandNames: commands.map(({ name }) => name),
    });
    try {
      await traced(words[0], tracing, () => program.parseAsync([...args], { from: 'user' }));
    } finally {
      for (const end of ends.reverse()) await end();
    }
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    terminal.clear();
    if (stop.signal.aborted) {
      process.stderr.write('stopped\n');
      return 130;
    }
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const fault = error instanceof CommanderError ? asUsageFault(error, args) : error;
    if (json) process.stderr.write(`${JSON.stringify({ error: faultToJson(fault) })}\n`);
    else process.stderr.write(`${renderFault(fault, { color: terminal.color })}\n`);
    return isUsageFault(fault) ? 2 : 1;
  } finally {
    // Whoever receives spans keeps no command from its end. What was printed has been written by then.
    if (!(await tracing.stop(lastSpans))) setImmediate(() => process.exit());
    terminal.clear();
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
}

/** A command is a span, below that of `$TRACEPARENT`: what its server does is below it. A server is no span: it lasts. */
async function traced(word: string | undefined, { warnings }: Tracing, body: () => Promise<unknown>): Promise<void> {
  const parent = parseTraceparent(process.env.TRACEPARENT);
  if (word === 'server') {
    await body();
    return;
  }
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  const known = commands.find(({ name }) => name === word)?.name ?? 'help';
  await inSpan(`banksman ${known}`, { parent }, body);
}

/** Only the command that was asked for is loaded: the start of a query is a few milliseconds. */
async function createProgram(args: readonly string[], context: CommandContext): Promise<Command> {
  const program = new Command('banksman')
    .description(description)
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [COMMAND]', 'show help for a command')
    .addHelpText('after', examples)
    .enablePositionalOptions()
    .showSuggestionAfterError(false)
    .configureOutput({ writeErr() {}, outputError() {} });
  program.exitOverride();
  for (const { name, summary, load } of commands) {
    const command = program.command(name).summary(summary).description(summary);
    inherit(command);
    if (name === context.words[0]) {
      await (await load()).define(command, context);
      for (const child of command.commands) inherit(child);
    }
  }
  if (args.length === 0) program.help();
  return program;
}

function inherit(command: Command): void {
  command.exitOverride();
  command.helpOption('-h, --help', 'show help');
  command.showSuggestionAfterError(true);
  command.configureOutput({ writeErr() {}, outputError() {} });
}

function asUsageFault(error: CommanderError, args: readonly string[]): UsageFault {
  const words = args.filter((arg) => !arg.startsWith('-'));
  const known = commands.some(({ name }) => name === words[0]);
  if (error.code === 'commander.help' || error.code === 'commander.missingArgument' || known) {
    const message = error.message === '(outputHelp)' ? 'this command needs a sub-command' : error.message;
    return new UsageFault('cli/wrong-use', message.replace(/^error: /, '').trim(), {
      next: `see 'banksman ${known ? `${words[0]} ` : ''}--help'`,
    });
  }
  const suggestion = nearest(
    words[0] ?? '',
    commands.map(({ name }) => name),
  );
  return new UsageFault('cli/unknown-command', error.message.replace(/^error: /, ''), {
    next: suggestion === undefined ? "see 'banksman --help'" : `did you mean 'banksman ${suggestion}'?`,
  });
}
