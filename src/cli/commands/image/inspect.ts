import type { Command } from 'commander';
import {
  type DescribedLayer,
  describeLayers,
  type InstalledPackage,
  installedPackages,
  type LayoutContent,
} from '../../../image/index.ts';
import { type OpenImage, withImage } from '../../../release/index.ts';
import type { CommandContext } from '../../context.ts';
import { bytesText } from '../../views/bytes.ts';
import { count } from '../../views/count.ts';
import { openOptions } from './open.ts';

interface Options {
  readonly json?: boolean;
  readonly packages?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<image>', 'a label, the folder of an OCI layout, or a name in a registry')
    .option('--packages', 'list the Debian packages with their versions, not their number only')
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      `
Examples:
  banksman image inspect //bank/ledger:image
  banksman image inspect //bank/ledger:image --packages
  banksman image inspect registry.local/bank/ledger:c3823eb42513 --json
  banksman image inspect ./some.oci`,
    )
    .action(async (text: string, options: Options) => {
      await withImage(text, openOptions(context), async (image) => {
        const described = [];
        for (const content of image.content.images) described.push(await describe(content));
        if (options.json) return context.terminal.print(JSON.stringify(asJson(image, described), undefined, 2));
        for (const line of lines(image, described, options.packages === true)) context.terminal.print(line);
      });
    });
}

interface Described {
  readonly content: LayoutContent;
  readonly layers: readonly DescribedLayer[];
  readonly packages: readonly InstalledPackage[];
}

async function describe(content: LayoutContent): Promise<Described> {
  return { content, layers: describeLayers(content), packages: await installedPackages(content) };
}

function asJson({ name, repository, content }: OpenImage, described: readonly Described[]): unknown {
  const { digest, tag, mediaType } = content;
  return {
    name,
    ...(repository !== undefined && { repository }),
    digest,
    tag,
    mediaType,
    images: described.map(({ content: each, layers, packages }) => ({
      digest: each.digest,
      platform: { os: each.configuration.os, architecture: each.configuration.architecture },
      config: each.configuration.config,
      configDigest: each.configDigest,
      size: sizeOf(layers),
      layers,
      packages,
    })),
  };
}

function* lines(
  { name, content }: OpenImage,
  described: readonly Described[],
  withPackages: boolean,
): Generator<string> {
  yield name;
  yield `  digest    ${content.digest}`;
  yield `  tag       ${content.tag}`;
  for (const { content: image, layers, packages } of described) {
    const { os, architecture, config } = image.configuration;
    yield '';
    yield `${os}/${architecture}`;
    if (described.length > 1) yield `  digest    ${image.digest}`;
    yield `  size      ${bytesText(sizeOf(layers))} in ${count(layers.length, 'layer')}`;
    for (const [field, value] of Object.entries(config)) yield* fieldLines(field, value);
    yield '  layers, from the lowest';
    for (const { digest, size, purpose } of layers) {
      yield `    ${digest.slice(7, 19)}  ${bytesText(size).padStart(9)}  ${purpose.replaceAll('\n', ' ').slice(0, 100)}`;
    }
    yield `  ${count(packages.length, 'Debian package')}${withPackages || packages.length === 0 ? '' : ' (--packages lists them)'}`;
    if (withPackages) for (const each of packages) yield `    ${each.name} ${each.version} ${each.architecture}`;
  }
}

function* fieldLines(field: string, value: unknown): Generator<string> {
  const title = `  ${field.padEnd(12)}`;
  if (Array.isArray(value) && field === 'Env') {
    for (const [index, each] of value.entries())
      yield `${index === 0 ? title : ' '.repeat(title.length)} ${String(each)}`;
  } else if (typeof value === 'string') {
    yield `${title} ${value}`;
  } else if (field === 'ExposedPorts' || field === 'Volumes') {
    yield `${title} ${Object.keys(value as object).join(', ')}`;
  } else {
    yield `${title} ${JSON.stringify(value)}`;
  }
}

function sizeOf(layers: readonly DescribedLayer[]): number {
  return layers.reduce((sum, { size }) => sum + size, 0);
}
