import type { Command } from 'commander';
import { type Fault, faultToJson, renderFault } from '../../../fault/index.ts';
import type { LoadOptions } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { graphOptions } from '../../workspace.ts';

export interface KeepGoing {
  readonly keepGoing?: boolean;
}

/** Exit code of an answer over a part of what was asked for: 1 is that of no answer. */
const partly = 3;

export function withKeepGoing(command: Command): Command {
  return command.option(
    '-k, --keep-going',
    'where something is wrong, tell it and answer over what could be loaded; the exit code is then 3',
  );
}

/** How a query's graph is loaded. @param options of the command line */
export function queryOptions(
  { terminal, progress }: CommandContext,
  { keepGoing, json }: KeepGoing & { readonly json?: boolean },
): LoadOptions {
  if (keepGoing !== true) return graphOptions();
  return {
    ...graphOptions(),
    keepGoing(fault: Fault) {
      terminal.clear();
      const text = json ? JSON.stringify({ error: faultToJson(fault) }) : renderFault(fault, { color: terminal.color });
      process.stderr.write(`${text}\n`);
      progress.say('note: the answer is over what could be loaded, and may lack some of it');
      process.exitCode = partly;
    },
  };
}
