import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTerminal } from './terminal.ts';

/** A stream that is no terminal, with what was written to it. */
function pipe(): { stream: NodeJS.WriteStream; text(): string } {
  const stream = new PassThrough() as unknown as NodeJS.WriteStream;
  let text = '';
  stream.on('data', (piece) => {
    text += piece;
  });
  return { stream, text: () => text };
}

describe('where nothing can be drawn live', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is silent for at most 10 seconds while work goes on, and one line tells of all tasks', () => {
    const { stream, text } = pipe();
    const { progress } = createTerminal(stream);
    const first = progress.begin('engine');
    progress.begin('another');
    first.update('compiled 3 of 10');
    vi.advanceTimersByTime(10_000);
    expect(text()).toBe('  engine: compiled 3 of 10 (8 s, and 1 more)\n');
    vi.advanceTimersByTime(10_000);
    expect(text().split('\n')).toHaveLength(3);
  });

  it('says how a task ended, once, without colours', () => {
    const { stream, text } = pipe();
    const task = createTerminal(stream).progress.begin('engine');
    task.done('engine built');
    task.done('engine built');
    expect(text()).toBe('✓ engine built\n');
  });

  it('says nothing of short work that tells nothing', () => {
    const { stream, text } = pipe();
    createTerminal(stream).progress.begin('engine').done();
    expect(text()).toBe('');
  });
});
