/** `node bench/build-and-push.ts LABEL REFERENCE`: builds the image of the workspace here and sends it, as deploying does. */
import { openWorkspace } from '../src/graph/index.ts';
import { pushImage } from '../src/image/building.ts';
import { silent } from '../src/progress/index.ts';
import { createWorkspaceBuilder } from '../src/release/building/index.ts';

const [label = '', reference = ''] = process.argv.slice(2);
const builder = await createWorkspaceBuilder(await openWorkspace(process.cwd()), {
  progress: silent,
  patterns: [label],
});
const [image] = await builder.images(builder.labels);
if (image === undefined) throw new Error(`${label} is no image`);
await pushImage({
  layout: image.layout,
  reference: `${reference}:${image.tag}`,
  transport: { plainHttp: true, credentials: 'anonymous' },
});
console.log(image.digest);
