import {
  entriesOf,
  type FormNode,
  fieldsOf,
  isMapping,
  jsonOf,
  listOf,
  parseForm,
  textOf,
  truthOf,
  wrong,
} from '../../form/index.ts';
import type { Source } from '../../language/index.ts';
import { GraphFault } from '../fault.ts';
import { lastPart, resolvePath } from '../paths.ts';
import type { Json, PleaseConfig, RegistryForm, RemoteCacheForm, Workspace } from '../types.ts';
import { environments, registryName } from './environment-form.ts';

const workspaceKeys = [
  'name',
  'build_files',
  'build_defs',
  'config',
  'debian',
  'environments',
  'images',
  'registry',
  'registries',
  'remote_cache',
  'sets',
  'subrepos',
] as const;
const registryKeys = ['ca', 'cert', 'key', 'plain_http', 'mirrors'] as const;
const remoteCacheKeys = ['url', 'token_env', 'token_file', 'ca', 'instance', 'upload'] as const;

const simpleName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const fileName = /^[^/\\\0]+$/;
const configKey = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Reads a `banksman.yaml`; what it doesn't say comes from a `.plzconfig` beside it. */
export function readWorkspace(root: string, source: Source, please?: PleaseConfig): Workspace {
  const top = parseForm(source, (message, details) => new GraphFault('graph/bad-workspace', message, details));
  if (top.node === null) throw wrong(top, 'is empty', 'give the workspace a name: name: x');
  const fields = fieldsOf(top, workspaceKeys);
  if (fields.name === undefined) throw wrong(top, 'name is missing', 'add the line: name: x');
  const registry =
    fields.registry === undefined ? 'registry.local' : textOf(fields.registry, registryName, 'the name of a registry');
  return Object.freeze<Workspace>({
    root,
    name: textOf(fields.name, simpleName, 'a name of letters, digits and . _ -'),
    buildFiles: fields.build_files === undefined ? pleaseBuildFiles(please) : buildFiles(fields.build_files),
    buildDefs: fields.build_defs === undefined ? (please?.buildDefs ?? []) : listOf(fields.build_defs).map(buildDefs),
    config: fields.config === undefined ? {} : config(fields.config),
    debian: fields.debian === undefined ? { suite: 'bookworm' } : debian(fields.debian),
    environments: environments(fields.environments, registry, top),
    images: images(fields.images),
    registry,
    ...(fields.registries !== undefined && { registries: registries(fields.registries) }),
    ...(fields.remote_cache !== undefined && { remoteCache: remoteCache(fields.remote_cache) }),
    ...(fields.sets !== undefined && { sets: sets(fields.sets) }),
    ...(fields.subrepos !== undefined && { subrepos: subrepos(fields.subrepos) }),
    ...(please !== undefined && { please }),
    place: top.place,
  });
}

/** How images are named and made. */
function images(form: FormNode | undefined): Workspace['images'] {
  const { tags, run } = form === undefined ? {} : fieldsOf(form, ['tags', 'run']);
  if (run !== undefined) textOf(run, /^buildah$/, 'what carries RUN of Dockerfiles out: buildah');
  return {
    tags: tags !== undefined && textOf(tags, /^(short|long)$/, 'short or long') === 'long' ? 'long' : 'short',
    ...(run !== undefined && { run: 'buildah' as const }),
  };
}

function registries(form: FormNode): Record<string, RegistryForm> {
  return Object.fromEntries(
    entriesOf(form).map(({ key, value }) => {
      if (!registryName.test(key)) throw wrong(value, `${JSON.stringify(key)} is not the name of a registry`);
      const { ca, cert, key: secret, plain_http, mirrors } = fieldsOf(value, registryKeys);
      if ((cert === undefined) !== (secret === undefined)) throw wrong(value, 'cert and key belong together');
      const file = (node: FormNode) => textOf(node, /./, 'the path of a file');
      return [
        key,
        {
          ...(ca !== undefined && { ca: file(ca) }),
          ...(cert !== undefined && { cert: file(cert) }),
          ...(secret !== undefined && { key: file(secret) }),
          ...(plain_http !== undefined && { plainHttp: truthOf(plain_http) }),
          ...(mirrors !== undefined && {
            mirrors: listOf(mirrors).map((each) => textOf(each, registryName, 'the name of a registry')),
          }),
        },
      ];
    }),
  );
}

function remoteCache(form: FormNode): RemoteCacheForm {
  const fields = fieldsOf(form, remoteCacheKeys);
  if (fields.url === undefined) throw wrong(form, 'url is missing', 'add url: grpcs://host:port');
  const { token_env, token_file, ca, instance, upload } = fields;
  return {
    url: textOf(
      fields.url,
      /^grpcs?:\/\/\S+$/,
      'the address of a remote cache: grpcs://host:port, or grpc://host:port',
    ),
    ...(token_env !== undefined && {
      tokenEnv: textOf(token_env, /^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of a variable'),
    }),
    ...(token_file !== undefined && { tokenFile: textOf(token_file, /./, 'the path of a file') }),
    ...(ca !== undefined && { ca: textOf(ca, /./, 'the path of a file') }),
    instance: instance === undefined ? '' : textOf(instance, /^[^\s\0]*$/, 'the name of an instance'),
    upload: upload === undefined ? true : truthOf(upload),
    place: form.place,
  };
}

/** Names in `.plzconfig` replace Please's own. */
function pleaseBuildFiles(please: PleaseConfig | undefined): readonly string[] {
  if (please === undefined) return ['BUILD'];
  return please.buildFiles.length > 0 ? please.buildFiles : ['BUILD', 'BUILD.plz'];
}

/** A repository of Please as it is: named after its folder, and with the defaults of an empty `banksman.yaml`. */
export function pleaseWorkspace(root: string, please: PleaseConfig, file: string): Workspace {
  const name = lastPart(root.replaceAll('\\', '/'))
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63);
  return readWorkspace(root, { file, text: `name: ${JSON.stringify(name || 'workspace')}\n`, internal: true }, please);
}

/** Patterns of services that are promoted together, by the name of the set. */
function sets(form: FormNode): Record<string, readonly string[]> {
  return Object.fromEntries(
    entriesOf(form).map(({ key, value }) => {
      if (!simpleName.test(key)) throw wrong(value, `${JSON.stringify(key)} can't be the name of a set`);
      const patterns = listOf(value).map((each) => textOf(each, /^\/\/[^\s,]*$/, 'a pattern of labels: //bank/...'));
      if (patterns.length === 0) throw wrong(value, 'is empty', 'name services: [//bank/...]');
      return [key, patterns];
    }),
  );
}

function subrepos(form: FormNode): Record<string, string> {
  return Object.fromEntries(entriesOf(form).map(({ key, value }) => [key, buildDefs(value)]));
}

function buildFiles(form: FormNode): string[] {
  const names = listOf(form).map((each) => textOf(each, fileName, 'the name of a file'));
  if (names.length === 0) throw wrong(form, 'is empty', 'leave it out for BUILD');
  return names;
}

function buildDefs(form: FormNode): string {
  const text = textOf(form, /./, 'a path');
  const path = resolvePath('', text.replace(/^\/\//, '').replace(':', '/'));
  if (path === undefined || path === '') throw wrong(form, `${JSON.stringify(text)} leads out of the workspace`);
  return path;
}

function debian(form: FormNode): Workspace['debian'] {
  const fields = fieldsOf(form, ['suite', 'mirror']);
  const suite =
    fields.suite === undefined ? 'bookworm' : textOf(fields.suite, simpleName, 'the name of a Debian suite');
  if (fields.mirror === undefined) return { suite };
  return {
    suite,
    mirror: textOf(fields.mirror, /^https?:\/\/[^\s]+$/, 'the http or https address of a Debian mirror'),
  };
}

/** Keys at every level become attributes: CONFIG.GO.IMPORT_PATH. */
function config(form: FormNode): Record<string, Json> {
  const values = entriesOf(form).map(({ key, value: each }): [string, Json] => {
    if (!configKey.test(key)) {
      throw wrong(each, `${JSON.stringify(key)} can't be read as an attribute of CONFIG`, 'use letters, digits and _');
    }
    return [key, isMapping(each) ? config(each) : jsonOf(each)];
  });
  return Object.fromEntries(values);
}
