import { describe, expect, it } from 'vitest';
import type { Paint } from '../terminal.ts';
import { driftLines } from './drift.ts';

const plain = new Proxy({} as Paint, { get: () => (text: string) => text });

describe('what drifted, as lines', () => {
  it('is a diff of each field, with who did it and why it is left', () => {
    const lines = driftLines(
      {
        mode: 'report',
        release: 'sha256:3f9ac21b04d7aaaa',
        objects: [
          {
            kind: 'Deployment',
            name: 'ledger',
            change: 'changed',
            since: '2026-01-01T00:00:00Z',
            left: 'the environment only reports',
            fields: [{ path: 'spec.replicas', wanted: '2', found: '5', by: { manager: 'kubectl-edit' } }],
          },
          { kind: 'ConfigMap', name: 'a', change: 'deleted', since: '2026-01-01T00:00:00Z', fields: [] },
        ],
      },
      plain,
    );
    expect(lines).toEqual([
      '2 objects differ from release 3f9ac21b04d7 (drift: report)',
      'Deployment/ledger was changed  since 2026-01-01T00:00:00Z',
      '  spec.replicas  by kubectl-edit',
      '    - 2',
      '    + 5',
      '  left: the environment only reports',
      'ConfigMap/a was deleted  since 2026-01-01T00:00:00Z',
    ]);
  });
});
