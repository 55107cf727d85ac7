// A process of its own that builds every target of a workspace: for tests that kill it.
import { createTargetHasher, loadGraph, openWorkspace } from '../../graph/index.ts';
import { silent } from '../../progress/index.ts';
import { createBuilder } from '../builder.ts';

const [root = '', cacheFolder = ''] = process.argv.slice(2);
const graph = await loadGraph(await openWorkspace(root), { ruleFiles: [] });
const builder = createBuilder({
  graph,
  hashes: { of: createTargetHasher(graph), contentHash: graph.tree.contentHash },
  builtins: {},
  progress: { ...silent, say: (line) => console.log(line) },
  cacheFolder,
  jobs: 2,
});
await builder.build([...graph.targets.keys()]);
