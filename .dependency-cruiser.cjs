/**
 * The layering of ARCHITECTURE.md. Imports run downwards only; folders of one layer don't know each other;
 * a folder's index.ts is its door, and its building.ts (or building/index.ts) the door of what builds.
 */
const layers = [
  ['fault', 'progress', 'process', 'disk', 'database', 'trace'],
  ['language'],
  ['form'],
  ['graph'],
  ['rules', 'build', 'image', 'manifest', 'kube', 'audit'],
  ['release', 'local'],
  ['server'],
  ['cli'],
];

const forbidden = [
  { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
  {
    name: 'only-through-the-door',
    comment: "Another folder's index.ts is its door; its building.ts or building/index.ts, where there is one, is a second one that loads less.",
    severity: 'error',
    from: { path: '^src/([^/]+)/' },
    to: { path: '^src/([^/]+)/.+', pathNot: ['^src/$1/', '^src/[^/]+/(index|building|building/index)[.]ts$'] },
  },
];

layers.forEach((folders, level) => {
  const above = layers.slice(level + 1).flat();
  for (const folder of folders) {
    const beside = level === 0 ? [] : folders.filter((other) => other !== folder);
    const out = [...above, ...beside];
    if (out.length === 0) continue;
    forbidden.push({
      name: `${folder}-imports-downwards`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: `^src/(${out.join('|')})/` },
    });
  }
});

/** The same inside of a folder: what stands later may know what stands before it. */
const floors = {
  graph: ['names', 'git', 'files', 'workspace', 'evaluate', 'load', 'query', 'hash', 'kept', 'affected'],
  release: [
    ['model', 'artifact', 'verify'],
    ['gates', 'cluster', 'building'],
    ['placement', 'progressive'],
    ['proof'],
    ['evidence', 'drift', 'executor', 'deploy'],
  ],
};

for (const [folder, rooms] of Object.entries(floors)) {
  rooms.forEach((floor, level) => {
    const above = rooms.slice(level + 1).flat();
    if (above.length === 0) return;
    forbidden.push({
      name: `inside-${folder}-imports-downwards`,
      severity: 'error',
      from: { path: `^src/${folder}/(${[floor].flat().join('|')})/`, pathNot: '[.]test[.]ts$' },
      to: { path: `^src/${folder}/(${above.join('|')})/` },
    });
  });
}

module.exports = {
  forbidden,
  options: { tsPreCompilationDeps: true, doNotFollow: { path: 'node_modules' }, exclude: { path: 'node_modules' } },
};
