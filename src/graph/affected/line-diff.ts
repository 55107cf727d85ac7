/** A stretch of lines that differs between two texts; numbers count from 0. One of the stretches may be empty. */
export interface Hunk {
  readonly before: { readonly start: number; readonly end: number };
  readonly after: { readonly start: number; readonly end: number };
}

/** Cells of the table of common lines; texts that would need more count as differing from end to end. */
const maximumCells = 4_000_000;

/** The stretches in which two lists of lines differ, by a longest common subsequence. */
export function lineHunks(before: readonly string[], after: readonly string[]): Hunk[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let tail = 0;
  while (
    tail < before.length - start &&
    tail < after.length - start &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail++;
  const rows = before.length - tail - start;
  const columns = after.length - tail - start;
  if (rows === 0 && columns === 0) return [];
  const whole: Hunk = { before: { start, end: start + rows }, after: { start, end: start + columns } };
  if (rows === 0 || columns === 0 || (rows + 1) * (columns + 1) > maximumCells) return [whole];
  const width = columns + 1;
  const common = new Uint32Array((rows + 1) * width);
  for (let row = rows - 1; row >= 0; row--) {
    for (let column = columns - 1; column >= 0; column--) {
      common[row * width + column] =
        before[start + row] === after[start + column]
          ? common[(row + 1) * width + column + 1]! + 1
          : Math.max(common[(row + 1) * width + column]!, common[row * width + column + 1]!);
    }
  }
  const hunks: Hunk[] = [];
  let row = 0;
  let column = 0;
  while (row < rows || column < columns) {
    const from = { row, column };
    while (row < rows || column < columns) {
      if (row < rows && column < columns && before[start + row] === after[start + column]) break;
      const down = row < rows ? common[(row + 1) * width + column]! : -1;
      const right = column < columns ? common[row * width + column + 1]! : -1;
      if (down >= right) row++;
      else column++;
    }
    if (row > from.row || column > from.column) {
      hunks.push({
        before: { start: start + from.row, end: start + row },
        after: { start: start + from.column, end: start + column },
      });
    }
    while (row < rows && column < columns && before[start + row] === after[start + column]) {
      row++;
      column++;
    }
  }
  return hunks;
}
