/** What is said of an image whose bytes nobody can make again. */
export const reproducibleLabel = 'banksman.reproducible';
