import { isFault } from '../../fault/index.ts';
import { completeLabel } from '../../graph/index.ts';
import { queries } from '../commands/query/queries.ts';
import { graphOptions, here } from '../workspace.ts';

/**
 * How the last word of a command line can go on: a command, a query, a label.
 *
 * @param line all that stands before the cursor, the program's name included
 */
export async function completions(line: string, commandNames: readonly string[]): Promise<string[]> {
  const words = line.trimStart().split(/\s+/).slice(1);
  const word = words.at(-1) ?? '';
  const startingSo = (names: readonly string[]) => names.filter((name) => name.startsWith(word));
  if (words.length <= 1) return startingSo(commandNames);
  if (words[0] === 'completion') return startingSo(['bash', 'zsh', 'fish']);
  if (words[0] === 'query' && words.length === 2) return startingSo(queries.map(({ name }) => name));
  if (word.startsWith('-')) return [];
  try {
    const { workspace, currentPackage } = await here();
    return await completeLabel(workspace, word, currentPackage, graphOptions());
  } catch (error) {
    // A person is typing: the command itself tells what is wrong.
    if (isFault(error)) return [];
    throw error;
  }
}
