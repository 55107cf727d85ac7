import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createWorkspace, faultsOf } from '../test-workspace.ts';
import { openWorkspace } from './workspace.ts';

describe('openWorkspace', () => {
  it('takes a name alone, from a folder below, and fills in the defaults', async () => {
    const { root } = createWorkspace({}, { git: false });
    mkdirSync(join(root, 'a/b'), { recursive: true });
    const workspace = await openWorkspace(join(root, 'a/b'));
    expect(workspace).toMatchObject({
      root,
      name: 'test',
      buildFiles: ['BUILD'],
      buildDefs: [],
      config: {},
      debian: { suite: 'bookworm' },
      registry: 'registry.local',
    });
    expect([...workspace.environments.values()]).toMatchObject([
      { name: 'dev', cluster: 'local', namespace: 'dev', registry: 'registry.local' },
    ]);
  });

  it('reads the whole form', async () => {
    const { root } = createWorkspace(
      {
        'banksman.yaml': `
name: bank
build_files: [BUILD.bazel, BUILD]
build_defs: [build/defs.build_defs, "//x:y.build_defs"]
config: { go: { import_path: example.com/bank, cgo: false }, list: [1, a] }
debian: { suite: trixie }
registry: registry.example.com:5000/bank
remote_cache: { url: "grpcs://cache.example.com:9092", token_env: CACHE_TOKEN, ca: ca.pem, instance: main, upload: false }
environments:
  dev: { cluster: local, namespace: dev }
  prod:
    cluster: eu
    namespace: prod
    context: arn:aws/eu
    registry: prod.example.com
    parameters: { replicas: 3, hosts: [a, b] }
    after: dev
    automatic: true
    deadline: 1h30m
    patience: 7d
    on_failure: stop
    patches: [large, prod]
    services: [//bank/..., //web:site]
    gates:
      soak: 1h
      tests: [//bank/ledger:test]
      approvals: { count: 2, role: release-manager }
      windows:
        - { starts: 2026-01-05T09:00, for: 1d2h, rule: "FREQ=WEEKLY;BYDAY=MO,-1TU", zone: Europe/London }
      freezes:
        - { name: year end, starts: 2026-12-20T00:00, until: 2027-01-04T00:00:30, zone: UTC }
      metrics:
        - { name: errors, url: "http://prometheus:9090", query: "rate(errors[5m])", at_most: 0.01 }
      provenance: { policy: policies/release.yaml }
    drift: correct
    progressive:
      - services: [//bank/gateway]
        steps:
          - { share: 10%, for: 5m, check: { metric: { url: "http://prometheus:9090", query: q, at_most: 1 } } }
          - { share: 50%, for: 10m, check: { job: smoke } }
      - { services: [//bank/postgres], whole: true }
      - { steps: [{ share: 20%, for: 1m }] }
registries:
  hub.example: { mirrors: [mirror.example/hub], ca: ca.pem }
  127.0.0.1:5000: { plain_http: true }
`,
      },
      { git: false },
    );
    const workspace = await openWorkspace(root);
    expect(workspace).toMatchObject({
      buildFiles: ['BUILD.bazel', 'BUILD'],
      buildDefs: ['build/defs.build_defs', 'x/y.build_defs'],
      config: { go: { import_path: 'example.com/bank', cgo: false }, list: [1, 'a'] },
      debian: { suite: 'trixie' },
      registries: {
        'hub.example': { mirrors: ['mirror.example/hub'], ca: 'ca.pem' },
        '127.0.0.1:5000': { plainHttp: true },
      },
      remoteCache: {
        url: 'grpcs://cache.example.com:9092',
        tokenEnv: 'CACHE_TOKEN',
        ca: 'ca.pem',
        instance: 'main',
        upload: false,
      },
    });
    expect(workspace.environments.get('dev')).toMatchObject({ registry: 'registry.example.com:5000/bank' });
    expect(workspace.environments.get('prod')).toMatchObject({
      cluster: 'eu',
      context: 'arn:aws/eu',
      registry: 'prod.example.com',
      parameters: { replicas: 3, hosts: ['a', 'b'] },
      after: 'dev',
      automatic: true,
      deadline: 5_400_000,
      patience: 604_800_000,
      onFailure: 'stop',
      patches: ['large', 'prod'],
      drift: 'correct',
      progressive: [
        {
          services: ['//bank/gateway:gateway'],
          steps: [
            {
              share: 10,
              lasts: 300_000,
              check: { kind: 'metric', url: 'http://prometheus:9090', query: 'q', atMost: 1 },
            },
            { share: 50, lasts: 600_000, check: { kind: 'job', name: 'smoke' } },
          ],
        },
        { services: ['//bank/postgres:postgres'], steps: [] },
        { steps: [{ share: 20, lasts: 60_000 }] },
      ],
      services: ['//bank/...', '//web:site'],
      gates: [
        { kind: 'soak', name: 'soak', duration: 3_600_000 },
        { kind: 'tests', targets: ['//bank/ledger:test'] },
        { kind: 'approvals', count: 2, role: 'release-manager' },
        {
          kind: 'window',
          spans: [
            {
              starts: '2026-01-05T09:00:00',
              lasts: { days: 1, milliseconds: 7_200_000 },
              rule: 'FREQ=WEEKLY;BYDAY=MO,-1TU',
              zone: 'Europe/London',
              place: { line: 29 },
            },
          ],
        },
        { kind: 'freeze', spans: [{ name: 'year end', lasts: { until: '2027-01-04T00:00:30' } }] },
        { kind: 'metric', name: 'metric:errors', url: 'http://prometheus:9090', atMost: 0.01 },
        { kind: 'provenance', policy: 'policies/release.yaml' },
      ],
    });
  });

  it('says what to create where there is none', async () => {
    const [fault] = await faultsOf(() => openWorkspace(tmpdir()));
    expect(fault).toMatchObject({ code: 'graph/no-workspace' });
    expect(fault?.next).toContain('name: x');
  });

  it.each<[string, RegExp, { line?: number; column?: number }, string?]>([
    ['', /is empty/, {}],
    ['nme: x\n', /nme: there is no such key/, { line: 1, column: 1 }, 'did you mean name?'],
    ['registry: r\n', /name is missing/, { line: 1 }],
    ['name: x\nsets: { pay: [bank] }\n', /a pattern of labels/, { line: 2 }],
    ['name: x\nsets: { pay: [] }\n', /is empty/, { line: 2 }],
    ['name: x\nregistries: { "Hub/": {} }\n', /is not the name of a registry/, { line: 2 }],
    ['name: x\nregistries: { hub.example: { cert: c.pem } }\n', /cert and key belong together/, { line: 2 }],
    ['name: x\nregistries: { hub.example: { mirror: x } }\n', /mirror/, { line: 2 }],
    ['name: x\nremote_cache: {}\n', /url is missing/, { line: 2 }],
    ['name: x\nremote_cache: { url: cache }\n', /is not the address of a remote cache/, { line: 2 }],
    ['name: x\nremote_cache: { url: "grpc://c", upload: 1 }\n', /must be true or false/, { line: 2 }],
    ['name: 3\n', /name: must be a name .*, not a number/, { line: 1, column: 7 }],
    ['name: "a b"\n', /is not a name/, { line: 1, column: 7 }],
    ['name: x\nname: y\n', /not valid YAML/, { line: 2 }],
    ['name: x\n\tregistry: r\n', /not valid YAML/, { line: 2 }],
    ['- x\n', /must be a mapping/, { line: 1 }],
    [
      'name: x\nenvironments:\n  dev: { cluster: local, namespce: d }\n',
      /environments.dev.namespce/,
      { line: 3, column: 26 },
      'did you mean namespace?',
    ],
    ['name: x\nenvironments:\n  dev: { cluster: local }\n', /environments.dev: namespace is missing/, { line: 3 }],
    [
      'name: x\nenvironments:\n  Dev: { cluster: local, namespace: d }\n',
      /can't be the name of an environment/,
      { line: 3 },
    ],
    [
      'name: x\nenvironments:\n  dev:\n',
      /environments.dev: must be a mapping of keys to values, not nothing/,
      { line: 3 },
    ],
    ['name: x\nenvironments: {}\n', /environments: is empty/, { line: 2 }],
    ['name: x\nconfig: { a: 1.5 }\n', /config.a: 1.5 is neither/, { line: 2, column: 14 }],
    ['name: x\nconfig: { a: { b-c: 1 } }\n', /can't be read as an attribute/, { line: 2 }],
    ['name: x\nconfig: { a: &x [1], b: *x }\n', /alias/, { line: 2 }],
    ['name: x\nregistry: "a b"\n', /is not the name of a registry/, { line: 2 }],
    ['name: x\nbuild_files: [a/b]\n', /is not the name of a file/, { line: 2 }],
    ['name: x\nbuild_defs: [../x]\n', /leads out of the workspace/, { line: 2 }],
    ...(
      [
        ['after: prd', /there is no environment prd/, 'did you mean prod?'],
        ['after: prod', /wait for each other: prod, prod/],
        ['on_failure: retry', /"retry" is not return or stop/],
        ['deadline: 10', /must be a length of time .*, not a number/],
        ['deadline: ten', /is not a length of time/],
        ['deadline: 0s', /must be longer than nothing/],
        ['automatic: 1', /must be true or false/],
        ['patches: [a/b]', /is not the name of a set of patches/],
        ['services: [bank]', /is not a pattern such as/],
        ['parameters: { a-b: 1 }', /can't be the name of a parameter/],
        ['gates: { sok: 1h }', /gates.sok: there is no such key/, 'did you mean soak?'],
        ['gates: { soak: 1h }', /there is no environment before this one/],
        ['gates: { tests: [] }', /tests: is empty/],
        ['gates: { tests: ["bank:test"] }', /is not the label of a test/],
        ['gates: { approvals: {} }', /count is missing/],
        ['gates: { approvals: { count: 0 } }', /must be 1 or more/],
        ['gates: { approvals: { count: 1.5 } }', /must be a whole number/],
        ['gates: { metrics: [{ name: a, url: "http://p", query: q }] }', /needs at_most or at_least/],
        [
          'gates: { metrics: [{ name: a, url: "http://u:p@p", query: q, at_most: 1 }] }',
          /is not the http or https address/,
        ],
        ['gates: { metrics: [{ name: a, url: ftp, query: q, at_most: 1 }] }', /is not the http or https address/],
        ['gates: { provenance: { policy: ../p } }', /is not the path of a file in the workspace/],
        ['drift: fix', /"fix" is not correct or report/],
        ['progressive: {}', /steps is missing/],
        ['progressive: []', /is empty/],
        ['progressive: [{ steps: [{ share: 10%, for: 1m }] }, { whole: true }]', /is about all services/],
        ['progressive: { whole: true, steps: [{ share: 10%, for: 1m }] }', /exclude each other/],
        ['progressive: { whole: false }', /is true, or left out/],
        ['progressive: { steps: [] }', /steps: is empty/],
        ['progressive: { steps: [{ share: 10 }] }', /for is missing/],
        ['progressive: { steps: [{ share: 10, for: 1m }] }', /must be a share from 1% to 99%/],
        ['progressive: { steps: [{ share: 100%, for: 1m }] }', /is not a share from 1% to 99%/],
        [
          'progressive: { steps: [{ share: 50%, for: 1m }, { share: 10%, for: 1m }] }',
          /10% is not more than the 50% before/,
        ],
        ['progressive: { steps: [{ share: 10%, for: 1m, check: {} }] }', /needs one of metric and job/],
        [
          'progressive: { steps: [{ share: 10%, for: 1m, check: { metric: { url: "http://p", query: q } } }] }',
          /needs at_most or at_least/,
        ],
        [
          'progressive: { steps: [{ share: 10%, for: 1m, check: { job: Smoke } }] }',
          /is not the name of a verification/,
        ],
        ['progressive: { services: [bank], steps: [{ share: 10%, for: 1m }] }', /is not the label of a service/],
      ] as [string, RegExp, string?][]
    ).map(([line, message, next]): [string, RegExp, { line: number }, string?] => [
      `name: x\nenvironments:\n  prod: { cluster: local, namespace: d, ${line} }\n`,
      message,
      { line: 3 },
      ...(next === undefined ? ([] as const) : ([next] as const)),
    ]),
    ...(
      [
        ['zone: UTC, for: 1h', /starts is missing/],
        ['starts: 2026-01-01T00:00, for: 1h', /zone is missing/],
        ['starts: 2026-02-30T00:00, zone: UTC, for: 1h', /2026-02-30T00:00 is not in the calendar/],
        ['starts: 2026-01-01, zone: UTC, for: 1h', /is not a local time/],
        ['starts: 2026-01-01T00:00, zone: Europe/Lundon, for: 1h', /there is no time zone Europe\/Lundon/],
        ['starts: 2026-01-01T00:00, zone: UTC', /needs one of for and until/],
        ['starts: 2026-01-01T00:00, zone: UTC, until: 2025-01-01T00:00', /must be later than starts/],
        [
          'starts: 2026-01-01T00:00, zone: UTC, until: 2027-01-01T00:00, rule: FREQ=DAILY',
          /a span with a rule has a length/,
        ],
        ['starts: 2026-01-01T00:00, zone: UTC, for: 1h, rule: FREQ=MINUTELY', /MINUTELY is not a value of FREQ/],
        ['starts: 2026-01-01T00:00, zone: UTC, for: 1h, rule: BYDAY=MO', /FREQ is missing/],
        ['starts: 2026-01-01T00:00, zone: UTC, for: 1h, rule: "FREQ=DAILY;BYHOUR=25"', /25 is not a value of BYHOUR/],
        ['starts: 2026-01-01T00:00, zone: UTC, for: 1h, rule: "FREQ=DAILY;BYDAI=MO"', /there is no part BYDAI/],
        ['starts: 2026-01-01T00:00, zone: UTC, for: 1h, rule: "FREQ=DAILY;FREQ=DAILY"', /FREQ stands twice/],
        [
          'starts: 2026-01-01T00:00, zone: UTC, for: 1h, rule: "FREQ=DAILY;COUNT=1;UNTIL=20260101T000000Z"',
          /exclude each other/,
        ],
      ] as [string, RegExp][]
    ).map(([line, message]): [string, RegExp, { line: number }] => [
      `name: x\nenvironments:\n  prod:\n    cluster: local\n    namespace: d\n    gates:\n      windows:\n        - { ${line} }\n`,
      message,
      { line: 8 },
    ]),
    [
      'name: x\nenvironments:\n  a: { cluster: l, namespace: d, after: b }\n  b: { cluster: l, namespace: d, after: a }\n',
      /wait for each other: a, b, a/,
      { line: 3 },
    ],
  ])('refuses %j', async (text, message, place, next) => {
    const { root } = createWorkspace({ 'banksman.yaml': text }, { git: false });
    const [fault] = await faultsOf(() => openWorkspace(root));
    expect(fault).toMatchObject({ code: 'graph/bad-workspace', message: expect.stringMatching(message) as string });
    expect(fault?.place).toMatchObject({ file: 'banksman.yaml', ...place });
    if (next !== undefined) expect(fault?.next).toBe(next);
  });
});
