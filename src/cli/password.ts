/**
 * Asks for a password on the terminal, without showing it. Undefined where there is no terminal to ask on.
 *
 * @param question printed to standard error, so that standard output stays what the command prints
 */
export async function askPassword(question: string): Promise<string | undefined> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY) return undefined;
  stderr.write(`${question}: `);
  stdin.setRawMode(true);
  stdin.resume();
  stdin.setEncoding('utf8');
  let text = '';
  try {
    for await (const piece of stdin as AsyncIterable<string>) {
      for (const letter of piece) {
        if (letter === '\r' || letter === '\n') return text;
        if (letter === '\u0003' || letter === '\u0004') throw new Error('interrupted');
        if (letter === '\u007f' || letter === '\b') text = [...text].slice(0, -1).join('');
        else text += letter;
      }
    }
    return text;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}
