import type { Node, Scalar } from 'yaml';
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import { resolve, type YamlDocument } from './read.ts';

/** An `image:` of a container. */
export interface ImagePosition {
  /** The node to replace: the text itself, or the alias that stands for it. */
  readonly node: Node;
  /** Undefined where it is no text. */
  readonly text: string | undefined;
}

const containerLists = ['containers', 'initContainers', 'ephemeralContainers'];

/**
 * Every image position of a document, in the order written: the containers of a Pod, and of every pod template however deep
 * (`template`, or a key that ends in `Template`, with a `spec` that has containers). That covers Deployment, StatefulSet,
 * DaemonSet, ReplicaSet, Job, CronJob and PodTemplate as well as custom kinds built after them.
 */
export function imagePositions(document: YamlDocument): ImagePosition[] {
  const positions: ImagePosition[] = [];
  // A node seen through several aliases counts once, which also bounds the walk.
  const seen = new Set<unknown>();
  const takePodSpec = (node: unknown) => {
    const spec = resolve(document, node);
    if (!isMap(spec) || seen.has(spec)) return;
    seen.add(spec);
    for (const key of containerLists) {
      const list = resolve(document, spec.get(key, true));
      if (!isSeq(list) || seen.has(list)) continue;
      seen.add(list);
      for (const item of list.items) takeContainer(resolve(document, item));
    }
  };
  const takeContainer = (container: unknown) => {
    if (!isMap(container) || seen.has(container)) return;
    seen.add(container);
    const node = container.get('image', true) as unknown;
    if (!isScalar(node) && !isAlias(node)) return;
    // Two aliases of one text are two places; one place is taken once.
    if (seen.has(node)) return;
    seen.add(node);
    const target = resolve(document, node) as Scalar | undefined;
    positions.push({ node, text: isScalar(target) && typeof target.value === 'string' ? target.value : undefined });
  };
  const walk = (node: unknown) => {
    if (isSeq(node)) for (const item of node.items) walk(item);
    if (!isMap(node)) return;
    for (const { key, value } of node.items) {
      if (isScalar(key) && typeof key.value === 'string' && /^template$|Template$/.test(key.value)) {
        const template = resolve(document, value);
        if (isMap(template)) takePodSpec(template.get('spec', true));
      }
      walk(value);
    }
  };
  const root: unknown = document.yaml.contents;
  if (isMap(root) && root.get('kind') === 'Pod') takePodSpec(root.get('spec', true));
  walk(root);
  return positions.sort((a, b) => (a.node.range?.[0] ?? 0) - (b.node.range?.[0] ?? 0));
}
