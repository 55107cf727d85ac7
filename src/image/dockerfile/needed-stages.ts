import type { Instruction, InstructionOf } from './instruction.ts';
import type { Dockerfile, Stage } from './parse.ts';

/**
 * The stages that one is made of, itself included, in their order.
 *
 * @param baseOf what FROM names, variables replaced
 */
export function neededStages({ stages }: Dockerfile, target: Stage, baseOf: (stage: Stage) => string): Stage[] {
  const needed = new Set<Stage>();
  const visit = (stage: Stage) => {
    if (needed.has(stage)) return;
    needed.add(stage);
    const above = stages.slice(0, stage.index);
    const names = [baseOf(stage)];
    for (const { meaning } of stage.instructions) {
      if ((meaning.kind === 'copy' || meaning.kind === 'add') && meaning.flags.from)
        names.push(meaning.flags.from.text);
    }
    for (const [index, name] of names.entries()) {
      // FROM takes no number.
      const numbered = index > 0 && /^[0-9]{1,6}$/.test(name) ? above[Number(name)] : undefined;
      const found = above.findLast(({ from }) => from.meaning.stage === name.toLowerCase()) ?? numbered;
      if (found !== undefined) visit(found);
    }
  };
  visit(target);
  return stages.filter((stage) => needed.has(stage));
}

/** Whether one of the stages runs something. */
export function hasRun(stages: readonly Stage[]): boolean {
  return stages.some(({ instructions }) => instructions.some(isRun));
}

export function isRun(instruction: Instruction): instruction is InstructionOf<'run'> {
  return instruction.meaning.kind === 'run';
}
