import { expect, it } from 'vitest';
import { Fault, hide, withoutSecrets } from './index.ts';

it('what is hidden stands in no fault, whoever said it', () => {
  hide('a-secret-of-ours', 'short', undefined);
  const fault = new Fault('build/failed', 'they say: a-secret-of-ours, a-secret-of-ours', {
    notes: ['token a-secret-of-ours', 'short'],
    next: 'leave out a-secret-of-ours',
  });
  expect(fault.message).toBe('they say: [hidden], [hidden]');
  expect(fault.notes).toEqual(['token [hidden]', 'short']);
  expect(fault.next).toBe('leave out [hidden]');
  expect(fault.stack).not.toContain('a-secret-of-ours');
});

it('of very many the newest are known', () => {
  for (let index = 0; index < 2_000; index++) hide(`rotated-token-${index}-`);
  expect(withoutSecrets('rotated-token-1999-')).toBe('[hidden]');
  expect(withoutSecrets('rotated-token-1-')).toBe('rotated-token-1-');
});
