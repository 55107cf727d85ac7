import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { makeWorkspace } from './testing/workspace.ts';

describe('a machine without bubblewrap', () => {
  it('builds the same, and says once that nothing confines the actions', async () => {
    const w = await makeWorkspace({
      BUILD:
        '[build_rule(name = "x%d" % i, srcs = ["s"], outs = ["x%d" % i], cmd = "cat $SRC > $OUT") for i in range(3)]',
      s: 'source',
    });
    try {
      const script = new URL('./testing/build-once.ts', import.meta.url).pathname;
      const hidden = ['--dev-bind', '/', '/', '--bind', '/dev/null', '/usr/bin/bwrap'];
      const done = spawnSync('bwrap', [...hidden, process.execPath, script, w.root, w.cache], { encoding: 'utf8' });
      expect(done.status).toBe(0);
      expect(done.stdout.match(/without a sandbox/g)).toHaveLength(1);
      expect(done.stdout).toContain('apt-get install bubblewrap');
      // The key does not say how an action was confined: what was made is found.
      expect((await w.build('//:x1')).ran).toEqual({});
    } finally {
      await w.remove();
    }
  });
});
