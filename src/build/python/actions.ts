import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Target } from '../../graph/index.ts';
import { configText, configValue } from '../config.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltFile, BuiltinAction, BuiltinRequest } from '../types.ts';
import { bootstrapSource, type Contents, gather, moduleName, withoutSources, writeArchive } from './archive.ts';

/** One file with a program and all modules that it needs. */
export const pythonBinary: BuiltinAction = {
  version: '2',
  async key(target) {
    const bootstrap = await bootstrapSource();
    return setting(target, 'strip') === true ? bootstrap + (await resolveTool('python3')).identity : bootstrap;
  },
  async run(request) {
    const { target } = request;
    const main = request.srcs.named.main?.[0]?.files[0];
    if (main === undefined) {
      throw new BuildFault('build/bad-config', `${target.label} has no main file`, {
        place: target.place,
        next: 'name a Python file as main',
      });
    }
    const gathered = await gather(request);
    const contents = setting(target, 'strip') === true ? await withoutSources(request, gathered) : gathered;
    await writeArchive(join(request.outputFolder, target.outs[0] ?? ''), contents, {
      start: `import runpy\nrunpy.run_module("${moduleName(request, main.path)}", run_name="__main__", alter_sys=True)\n`,
      preamble: configText(request, 'preamble'),
      site: configValue(request, 'site') === true,
      unpack: unpacks(request, contents),
    });
  },
};

function setting(target: Target, name: string): unknown {
  const config = target.action.kind === 'builtin' ? target.action.config : null;
  return (config as Readonly<Record<string, unknown>> | null)?.[name];
}

/** Libraries of C can't be imported from an archive, whatever the target says. */
function unpacks(request: BuiltinRequest, contents: Contents): boolean {
  return configValue(request, 'zip_safe') === false || !contents.zipSafe;
}

const source = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
const runners = { unittest: './runner.py', pytest: './pytest_runner.py' } as const;

/** The tests with all modules that they need, and a runner that writes a report. */
export const pythonTest: BuiltinAction = {
  version: '2',
  key: async () => (await bootstrapSource()) + Object.values(runners).map(source).join(''),
  async run(request) {
    const { target } = request;
    const contents = await gather(request);
    const runner = configText(request, 'runner') === 'pytest' ? 'pytest' : 'unittest';
    const files = request.srcs.named.srcs?.flatMap((input) => input.files) ?? [];
    await writeArchive(join(request.outputFolder, target.outs[0] ?? ''), contents, {
      start: `${source(runners[runner])}main(${JSON.stringify(testsIn(request, files, runner))})\n`,
      preamble: '#!/usr/bin/env python3\n',
      site: configValue(request, 'site') === true,
      // pytest reads the sources of tests to show what failed.
      unpack: runner === 'pytest' || unpacks(request, contents),
    });
  },
};

function testsIn(request: BuiltinRequest, files: readonly BuiltFile[], runner: keyof typeof runners): string[] {
  const sources = files.filter(({ path }) => path.endsWith('.py'));
  if (runner === 'unittest') return sources.map(({ path }) => moduleName(request, path));
  // It finds conftest.py by itself.
  return sources.map(({ path }) => path).filter((path) => !/(^|\/)(conftest|__init__)\.py$/.test(path));
}
