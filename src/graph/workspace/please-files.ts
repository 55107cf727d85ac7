/** Where Please looks for its settings; the second one is for one kind of machine. Personal files are not read. */
export function pleaseConfigFiles(): string[] {
  return ['.plzconfig', `.plzconfig_${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`];
}
