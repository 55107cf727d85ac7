/** Folders below which nothing is of use in a container: manuals, translations, what tools for packagers read. */
const dropped = [
  'usr/share/man',
  'usr/share/info',
  'usr/share/locale',
  'usr/share/lintian',
  'usr/share/linda',
  'usr/share/bug',
  'usr/share/doc-base',
  'usr/share/doc',
  'usr/share/help',
  'usr/share/gnome/help',
  'usr/share/menu',
  'usr/share/pixmaps',
  'usr/share/applications',
];

/**
 * Whether a file of a package goes into its layer. Licences stay (usr/share/doc/NAME/copyright, or the link that
 * stands for another package's folder): who hands on the program must hand on the licence.
 */
export function isKept(path: string, type: string): boolean {
  if (/^usr\/share\/doc\/[^/]+\/copyright$/.test(path)) return true;
  if (type === 'symlink' && /^usr\/share\/doc\/[^/]+$/.test(path)) return true;
  return !dropped.some((folder) => path === folder || path.startsWith(`${folder}/`));
}
