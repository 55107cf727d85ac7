import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configText } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinAction } from '../types.ts';
import { stored } from '../zip/write.ts';
import { gather, moduleName, writeArchive } from './archive.ts';

/** One file with a program and all modules that it needs. */
export const pythonBinary: BuiltinAction = {
  version: '1',
  async run(request) {
    const { target } = request;
    const main = request.srcs.named.main?.[0]?.files[0];
    if (main === undefined) {
      throw new BuildFault('build/bad-config', `${target.label} has no main file`, {
        place: target.place,
        next: 'name a Python file as main',
      });
    }
    const contents = await gather(request);
    const start = `import runpy\nrunpy.run_module("${moduleName(request, main.path)}", run_name="__main__", alter_sys=True)\n`;
    await writeArchive(
      join(request.outputFolder, target.outs[0] ?? ''),
      contents,
      start,
      configText(request, 'interpreter'),
    );
  },
};

let runner: string | undefined;
function runnerSource(): string {
  runner ??= readFileSync(new URL('./runner.py', import.meta.url), 'utf8');
  return runner;
}

/** The tests with all modules that they need, and a runner that writes a report. */
export const pythonTest: BuiltinAction = {
  version: '1',
  key: runnerSource,
  async run(request) {
    const { target } = request;
    const contents = await gather(request);
    const srcs = request.srcs.named.srcs?.flatMap(({ files }) => files) ?? [];
    const modules = srcs.filter(({ path }) => path.endsWith('.py')).map(({ path }) => moduleName(request, path));
    const list = 'banksman_tests.txt';
    contents.set(list, stored(list, Buffer.from(`${modules.join('\n')}\n`)));
    await writeArchive(
      join(request.outputFolder, target.outs[0] ?? ''),
      contents,
      runnerSource(),
      '/usr/bin/env python3',
    );
  },
};
