import { expect, test } from 'vitest';
import { readHierarchies } from './cgroup.ts';

test('version 1 beside version 2, as older systems mount them', () => {
  const mounts = `
proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0
`;
  expect(readHierarchies(mounts)).toEqual([
    { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', version: 1, controllers: ['cpu', 'cpuacct'] },
    { mountPoint: '/sys/fs/cgroup/systemd', version: 1, controllers: ['name=systemd'] },
    { mountPoint: '/sys/fs/cgroup/unified', version: 2, controllers: [] },
  ]);
});

test('version 2 alone, at a path with a space', () => {
  expect(readHierarchies('cgroup2 /sys/fs/my\\040groups cgroup2 rw 0 0\n')).toEqual([
    { mountPoint: '/sys/fs/my groups', version: 2, controllers: [] },
  ]);
});
