import type { Command } from 'commander';
import { dependencies } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { defineWalk } from './walk.ts';

export function define(command: Command, context: CommandContext): void {
  defineWalk(command, context, 'down', dependencies);
}
