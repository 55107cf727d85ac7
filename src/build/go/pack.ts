import { appendFile, readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/**
 * Adds object files to an archive that the compiler made with `-pack`: the form of ar(5), with names cut to its 16 bytes and
 * neither times nor owners, as the go command writes it. Later versions of Go have no `go tool pack` at hand.
 */
export async function appendObjects(archive: string, objects: readonly string[]): Promise<void> {
  for (const path of objects) {
    const data = await readFile(path);
    const name = basename(path).slice(0, 16).padEnd(16);
    const header = `${name}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'644'.padEnd(8)}${String(data.length).padEnd(10)}\`\n`;
    // Each member begins at an even place.
    await appendFile(archive, Buffer.concat([Buffer.from(header), data, Buffer.alloc(data.length % 2)]));
  }
}
