import { join } from 'node:path';
import { cacheFolder, stateFolder } from '../disk/index.ts';
import { joinFiles } from './cgroup.ts';
import { systemPath } from './components/component.ts';
import type { Layout } from './layout.ts';
import type { Invocation } from './types.ts';

/**
 * How the guard is started. It puts itself, and so all that it starts, into the cluster's cgroup. Its environment is small: what
 * lives for months must not carry what a shell had in it one day.
 */
export function guardCommand(layout: Layout): Invocation {
  return {
    program: '/bin/sh',
    args: [
      join(import.meta.dirname, 'guard.sh'),
      layout.run,
      process.execPath,
      join(import.meta.dirname, 'supervisor.ts'),
      layout.name,
      ...joinFiles(layout.cgroup),
    ],
    env: {
      PATH: systemPath,
      LANG: 'C.UTF-8',
      HOME: process.env.HOME,
      BANKSMAN_STATE: stateFolder(),
      BANKSMAN_CACHE: cacheFolder(),
      // Saves the supervisor the compiler that strips the types: 30 MB, and a third of its start.
      NODE_COMPILE_CACHE: cacheFolder('node'),
    },
  };
}
