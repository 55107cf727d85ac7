import type { Command } from 'commander';
import type { Progress } from '../progress/index.ts';
import type { Terminal } from './terminal.ts';

/** What every command is given. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly progress: Progress;
  /** Aborted by ^C. */
  readonly signal: AbortSignal;
  /** Has something done when the command has ended, however it did. What was begun last ends first. */
  atEnd(body: () => Promise<void>): void;
  /** The words of the command line that are no options, the command's own name first. */
  readonly words: readonly string[];
  /** Names of all commands, for completion. */
  readonly commandNames: readonly string[];
}

/** A file of `commands/`. */
export interface CommandModule {
  define(command: Command, context: CommandContext): void | Promise<void>;
}
