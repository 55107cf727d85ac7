import type { Command } from 'commander';
import { type Graph, type Label, passesFilter, type Target } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { UsageFault } from '../../usage.ts';

/** Options by which a list of labels is cut down and printed. */
export interface Selection {
  readonly json?: boolean;
  readonly tests?: boolean;
  readonly images?: boolean;
  readonly services?: boolean;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
}

export function withSelection(command: Command): Command {
  const collect = (word: string, so: readonly string[] = []) => [...so, word];
  return command
    .option('--tests', 'only tests')
    .option('--images', 'only images')
    .option('--services', 'only services')
    .option('--include <label>', 'only targets with this label; a,b: with both; given again: with either', collect)
    .option('--exclude <label>', 'no targets with this label', collect)
    .option('--json', 'a JSON list of labels');
}

export function printLabels(
  context: CommandContext,
  targets: Graph['targets'],
  labels: readonly Label[],
  options: Selection,
): void {
  const { tests, images, services, include, exclude } = options;
  // Of a kept graph a target is decoded when it is looked at: not where its label is enough.
  const any = !tests && !images && !services && include === undefined && exclude === undefined;
  const chosen = any ? labels : labels.filter((label) => isSelected(targets.get(label)!, options));
  if (options.json) context.terminal.print(JSON.stringify(chosen, undefined, 2));
  else if (chosen.length > 0) context.terminal.print(chosen.join('\n'));
}

/** Kinds asked for together add up: `--tests --images` gives both. */
function isSelected(target: Target, options: Selection): boolean {
  if (!passesFilter(target, { include: options.include ?? [], exclude: options.exclude ?? [] })) return false;
  if (!options.tests && !options.images && !options.services) return true;
  if (target.test !== undefined) return options.tests === true;
  if (target.rule === 'docker_image') return options.images === true;
  return target.rule === 'k8s_config' && options.services === true;
}

export function levelCount(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) {
    throw new UsageFault('cli/wrong-use', `--levels takes a whole number, not '${text}'`);
  }
  return Number(text);
}
