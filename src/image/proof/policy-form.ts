import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { entriesOf, type FormNode, fieldsOf, listOf, parseForm, textOf, truthOf, wrong } from '../../form/index.ts';
import { ProofFault } from './fault.ts';
import { type PublicKey, parsePublicKey } from './keys/public-key.ts';
import type { Policy, ProvenanceRule, ReviewRule } from './policy.ts';

const topKeys = ['mode', 'keys', 'signed_by', 'provenance', 'sbom', 'review'] as const;

/**
 * A policy out of its text.
 *
 * @param file how it is called in faults
 * @param folder what paths of keys are relative to
 * @throws ProofFault proof/bad-policy with the place, proof/bad-key
 */
export async function parsePolicy(text: string, file: string, folder: string): Promise<Policy> {
  const source = { file, text, internal: false };
  const top = parseForm(source, (message, details) => new ProofFault('proof/bad-policy', message, details));
  if (top.node === null) throw wrong(top, 'is empty', 'docs/proof.md shows a policy');
  const fields = fieldsOf(top, topKeys);
  if (fields.keys === undefined) throw wrong(top, 'keys is missing', 'add keys: { ci: ci.pub }');
  if (fields.signed_by === undefined)
    throw wrong(top, 'signed_by is missing', 'add signed_by: [NAME] with names of keys');
  const keys = await readKeys(fields.keys, folder);
  const named = (form: FormNode) => keyNames(form, keys);
  const { provenance, sbom, review } = fields;
  return {
    file,
    mode:
      fields.mode === undefined
        ? 'enforce'
        : (textOf(fields.mode, /^(enforce|audit)$/, 'enforce or audit') as Policy['mode']),
    keys,
    signedBy: named(fields.signed_by),
    ...(provenance !== undefined && { provenance: provenanceRule(provenance, named) }),
    ...(sbom !== undefined && { sbom: { signedBy: signers(sbom, fieldsOf(sbom, ['signed_by']).signed_by, named) } }),
    ...(review !== undefined && { review: reviewRule(review, provenance, named) }),
    place: top.place,
  };
}

function provenanceRule(form: FormNode, named: (form: FormNode) => string[]): ProvenanceRule {
  const fields = fieldsOf(form, ['signed_by', 'builders', 'workspaces', 'sources', 'edits', 'reproducible']);
  if (fields.builders === undefined)
    throw wrong(form, 'builders is missing', 'add builders: [ID] with ids of builders');
  return {
    signedBy: signers(form, fields.signed_by, named),
    builders: textsOf(fields.builders, 'the id of a builder'),
    workspaces: fields.workspaces && textsOf(fields.workspaces, 'the name of a workspace'),
    sources: fields.sources && textsOf(fields.sources, 'the URI of a repository'),
    edits: fields.edits === undefined ? false : truthOf(fields.edits),
    reproducible: fields.reproducible === undefined ? false : truthOf(fields.reproducible),
  };
}

function reviewRule(form: FormNode, provenance: FormNode | undefined, named: (form: FormNode) => string[]): ReviewRule {
  const fields = fieldsOf(form, ['signed_by', 'approvals']);
  // Without it nobody knows which commit the image is of.
  if (provenance === undefined)
    throw wrong(form, 'needs provenance beside it, which names the commit', 'add provenance: ...');
  const approvals = fields.approvals === undefined ? 1 : numberOf(fields.approvals);
  return { signedBy: signers(form, fields.signed_by, named), approvals };
}

function signers(form: FormNode, found: FormNode | undefined, named: (form: FormNode) => string[]): string[] {
  if (found === undefined) throw wrong(form, 'signed_by is missing', 'add signed_by: [NAME] with names of keys');
  return named(found);
}

async function readKeys(form: FormNode, folder: string): Promise<ReadonlyMap<string, PublicKey>> {
  const keys = new Map<string, PublicKey>();
  for (const { key: name, value } of entriesOf(form)) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name))
      throw wrong(value, `${JSON.stringify(name)} can't be the name of a key`);
    const text = textOf(value, /./, 'the path of a public key, or its text');
    const what = `the key ${name} of ${form.source.file}`;
    const pem = text.includes('-----BEGIN')
      ? text
      : await keyFile(value, isAbsolute(text) ? text : join(folder, text), text);
    const key = parsePublicKey(pem, what);
    const twin = [...keys].find(([, other]) => other.hint === key.hint);
    if (twin !== undefined) throw wrong(value, `is the same key as ${twin[0]}`, 'give a key one name');
    keys.set(name, key);
  }
  if (keys.size === 0) throw wrong(form, 'is empty', 'add a key: { ci: ci.pub }');
  return keys;
}

async function keyFile(form: FormNode, path: string, shown: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw wrong(
      form,
      `${shown} can't be read: ${(error as NodeJS.ErrnoException).code}`,
      'a path is relative to the policy file',
    );
  }
}

function keyNames(form: FormNode, keys: ReadonlyMap<string, PublicKey>): string[] {
  const names = listOf(form).map((each) => {
    const name = textOf(each, /./, 'the name of a key');
    if (!keys.has(name)) throw wrong(each, `there is no key ${name}`, `the keys are ${[...keys.keys()].join(', ')}`);
    return name;
  });
  if (names.length === 0) throw wrong(form, 'is empty: nobody could sign', 'name a key');
  return [...new Set(names)];
}

function textsOf(form: FormNode, what: string): string[] {
  const texts = listOf(form).map((each) => textOf(each, /./, what));
  if (texts.length === 0) throw wrong(form, 'is empty: nothing would do', `name ${what}`);
  return texts;
}

function numberOf(form: FormNode): number {
  const value = (form.node as { value?: unknown } | null)?.value;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= 100) return value;
  throw wrong(form, 'must be a whole number from 1 to 100');
}
