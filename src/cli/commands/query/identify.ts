import type { Graph, Target } from '../../../graph/index.ts';

/** Tools and built-in actions as parts of hashes. What knows them is loaded when it is needed: most queries need it not. */
export async function identify(graphs: readonly Graph[]): Promise<(target: Target) => string> {
  const { identifyTargets } = await import('../../../release/building/index.ts');
  return identifyTargets(graphs);
}
