import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { writeAtomically } from '../../disk/index.ts';
import { ImageFault, mirrorImages, parseReference } from '../../image/index.ts';
import type { CommandContext } from '../context.ts';
import { registriesHere } from '../registries.ts';
import { UsageFault } from '../usage.ts';
import { count } from '../views/count.ts';

interface MirrorOptions {
  readonly platform?: string;
  readonly fromFile?: string;
  readonly referrers: boolean;
  readonly report?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .description('copy images by digest between registries, with all platforms, signatures and SBOMs')
    .usage('[options] <source...> <destination>')
    .argument(
      '<names...>',
      'images by tag or digest, then the destination: a registry, or a registry and the beginning of repositories',
    )
    .option('--platform <name>', 'of an index only this image: linux/amd64')
    .option('--from-file <file>', 'sources from a file, one a line; # begins a comment')
    .option('--no-referrers', 'leaves out signatures, SBOMs and all else that refers to the images')
    .option('--report <file>', 'writes what was copied, by digest, as JSON: the same for the same images')
    .option('--json', 'the report on standard output')
    .addHelpText(
      'after',
      `
What the destination has is neither read nor sent: run it again after it was stopped, and it goes on.

Examples:
  banksman mirror docker.io/library/debian:12 registry.bank.example/hub
  banksman mirror --from-file images.txt --report images.lock.json registry.bank.example
  banksman mirror ghcr.io/org/tool@sha256:... registry.bank.example/tools/tool:1.4 --platform linux/amd64`,
    )
    .action(async (names: string[], options: MirrorOptions) => {
      const listed = options.fromFile === undefined ? [] : await sourcesIn(options.fromFile);
      const destination = names.at(-1) ?? '';
      const sources = [...names.slice(0, -1), ...listed];
      if (sources.length === 0)
        throw new UsageFault('cli/wrong-use', 'nothing to copy: there is only a destination', {
          next: 'name the images before it, or give them by --from-file',
        });
      const mirrored = await mirrorImages({
        sources,
        destination,
        platform: options.platform,
        referrers: options.referrers,
        registries: await registriesHere(),
        progress: context.progress,
        signal: context.signal,
      });
      const { terminal } = context;
      const report = {
        version: 1,
        images: mirrored.map(({ source, destination: to, digest, mediaType, manifests, referrers }) => ({
          source,
          destination: to,
          digest,
          mediaType,
          manifests,
          referrers,
        })),
      };
      if (options.report !== undefined)
        await writeAtomically(options.report, `${JSON.stringify(report, undefined, 2)}\n`);
      if (options.json) {
        const sent = mirrored.map(({ sentBlobs, sentBytes }) => ({ sentBlobs, sentBytes }));
        const images = report.images.map((image, position) => ({ ...image, ...sent[position] }));
        return terminal.print(JSON.stringify({ ...report, images }, undefined, 2));
      }
      for (const { source, destination: to, manifests, sentBlobs, sentBytes } of mirrored)
        terminal.print(
          `${terminal.paint.good('✓')} ${source} -> ${to}  ${count(manifests.length, 'manifest')}, ${sentBlobs === 0 ? 'nothing new' : `${count(sentBlobs, 'blob')}, ${(sentBytes / 1024 ** 2).toFixed(1)} MiB`}`,
        );
    });
}

async function sourcesIn(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new UsageFault('cli/wrong-use', `${file} can't be read: ${error.message}`);
  });
  const lines = text
    .split('\n')
    .map((line, index) => ({ name: line.replace(/(?:^|\s)#.*$/, '').trim(), number: index + 1 }));
  return lines
    .filter(({ name }) => name !== '')
    .map(({ name, number }) => {
      try {
        parseReference(name);
      } catch (error) {
        if (!(error instanceof ImageFault)) throw error;
        const { code, message, next } = error;
        throw new ImageFault(code, message, {
          place: { file, line: number, column: 1, source: text },
          next,
          cause: error,
        });
      }
      return name;
    });
}
