import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import type { Label } from '../../graph/index.ts';
import { ruleFilesForTests } from '../testing/rules.ts';
import { makeWorkspace, type TestWorkspace } from '../testing/workspace.ts';
import { readZip, unpack } from '../zip/read.ts';

const patience = 300_000;

const workspaces: TestWorkspace[] = [];
async function workspace(files: Readonly<Record<string, string>>, folder?: string): Promise<TestWorkspace> {
  const made = await makeWorkspace(files, { rules: ruleFilesForTests(), ...(folder !== undefined && { folder }) });
  workspaces.push(made);
  return made;
}
afterEach(async () => {
  for (const each of workspaces.splice(0)) await each.remove();
});

async function built(w: TestWorkspace, label: Label): Promise<string> {
  return (await w.build(label)).files[0]!.absolute;
}

const run = (program: string, ...args: string[]) => execFileSync(program, args, { encoding: 'utf8' });

const modules = {
  'words/BUILD': 'java_module(name = "words", srcs = ["module-info.java", "Words.java"], visibility = ["PUBLIC"])',
  'words/module-info.java': 'module words { exports words; }',
  'words/Words.java': 'package words; public class Words { public static String text() { return "from a module"; } }',
  'app/BUILD': `
java_module(name = "app", src_dir = "src", deps = ["//words"])
java_runtime_image(name = "image", modules = ["app"], compression = 0, launcher_module = "app", launcher_class = "app.Main", deps = [":app"])
genrule(name = "said", tools = [":image|image"], cmd = "$TOOL > $OUT", out = "said.txt")
java_module(name = "unread", srcs = ["other/module-info.java", "other/Other.java"])
`,
  'app/src/module-info.java': 'module app { requires words; }',
  'app/src/app/Main.java':
    'package app; public class Main { public static void main(String[] a) { System.out.println(words.Words.text()); } }',
  'app/other/module-info.java': 'module other { requires words; }',
  'app/other/Other.java': 'package other; class Other {}',
};

describe('modules of Java', { timeout: patience }, () => {
  it('are compiled on the module path and linked into a runtime, the same wherever it is made', async () => {
    const sums: string[] = [];
    for (const folder of ['one', 'another/deeper']) {
      const w = await workspace(modules, folder);
      const { files } = await w.build('//app:image');
      sums.push(files[0]!.sha256);
      if (folder !== 'one') continue;
      expect(run(`${files[0]!.absolute}/bin/image`)).toBe('from a module\n');
      const listed = run(`${files[0]!.absolute}/bin/java`, '--list-modules').replaceAll(/@.*/g, '');
      expect(listed.trim().split('\n').sort()).toEqual(['app', 'java.base', 'words']);
      // A program inside of a folder is a tool with all that lies beside it.
      expect(run('cat', await built(w, '//app:said'))).toBe('from a module\n');
      const fault = await w.build('//app:unread').then(
        () => undefined,
        (error: { notes: string[] }) => error,
      );
      expect(fault?.notes.join('\n')).toContain('module not found: words');
    }
    expect(sums[0]).toBe(sums[1]);
  });
});

const processor = `package processor;

import java.io.IOException;
import java.io.Writer;
import java.util.Set;
import javax.annotation.processing.*;
import javax.lang.model.SourceVersion;
import javax.lang.model.element.*;

@SupportedAnnotationTypes("processor.Named")
public class Processor extends AbstractProcessor {
  @Override public SourceVersion getSupportedSourceVersion() { return SourceVersion.latest(); }
  @Override public boolean process(Set<? extends TypeElement> found, RoundEnvironment round) {
    for (Element each : round.getElementsAnnotatedWith(Named.class)) {
      try (Writer out = processingEnv.getFiler().createSourceFile("app." + each.getSimpleName() + "Name").openWriter()) {
        out.write("package app; class " + each.getSimpleName() + "Name { static String text() { return \\"" + each.getSimpleName() + "\\"; } }");
      } catch (IOException error) { throw new RuntimeException(error); }
    }
    return true;
  }
}
`;

describe('Java', { timeout: patience }, () => {
  it('runs annotation processors that a target names, and none that it does not', async () => {
    const w = await workspace({
      'processor/BUILD':
        'java_library(name = "processor", srcs = glob(["*.java"]), resources = ["src/main/resources/META-INF/services/javax.annotation.processing.Processor"], visibility = ["PUBLIC"])',
      'processor/Named.java': 'package processor; public @interface Named {}',
      'processor/Processor.java': processor,
      'processor/src/main/resources/META-INF/services/javax.annotation.processing.Processor': 'processor.Processor\n',
      'app/BUILD': `
java_binary(name = "app", main_class = "app.Main", srcs = ["Main.java"], deps = ["//processor"])
java_library(name = "between", srcs = ["Between.java"], deps = ["//processor"])
java_library(name = "far", srcs = ["Main.java"], deps = [":between"])
`,
      'app/Between.java': 'package app; class Between {}',
      'app/Main.java':
        'package app; @processor.Named public class Main { public static void main(String[] a) { System.out.println(MainName.text()); } }',
    });
    expect(run('java', '-jar', await built(w, '//app:app'))).toBe('Main\n');
    await expect(built(w, '//app:far')).rejects.toThrow("//app:far can't be built");
  });

  it('makes jars that run by themselves, with arguments, manifests and resources from a folder', async () => {
    const w = await workspace({
      'banksman.yaml':
        'name: test\nconfig: { java: { source_level: 11, target_level: 11, javac_flags: "-Xlint:all -parameters" } }\n',
      BUILD: `
java_binary(name = "runs", main_class = "app.Main", srcs = ["Main.java"], resources = ["res/deep/a.txt"], jvm_args = "-Dword=given", deps = [":res"])
java_binary(name = "told", srcs = ["Main.java"], manifest = "m.mf", deps = [":res"])
java_library(name = "res", resources = ["res/deep/a.txt"], resources_root = "res")
`,
      'Main.java':
        'package app; public class Main { public static void main(String[] a) throws Exception { System.out.println(System.getProperty("word") + new String(Main.class.getResourceAsStream("/deep/a.txt").readAllBytes()) + String.join(",", a)); } }',
      'res/deep/a.txt': '!',
      'm.mf': 'Main-Class: app.Main\nOwn: yes\n\nName: app/\nSealed: true\n',
    });
    expect(run(await built(w, '//:runs'), 'x', 'y z')).toBe('given!x,y z\n');
    const told = await built(w, '//:told');
    expect(run('java', '-jar', told)).toBe('null!\n');
    const entries = await readZip(told, 'told.jar');
    const manifest = unpack(entries[0]!, 'told.jar').toString('utf8');
    expect(manifest).toBe(
      'Manifest-Version: 1.0\r\nMain-Class: app.Main\r\nOwn: yes\r\n\r\nName: app/\r\nSealed: true\r\n\r\n',
    );
    const main = entries.find(({ name }) => name === 'app/Main.class')!;
    // Java 11, by its class file version.
    expect(unpack(main, 'told.jar').readUInt16BE(6)).toBe(55);
  });

  it('compiles and runs with a JDK from an archive', async () => {
    const w = await workspace({
      'jdk/BUILD': `
java_runtime_image(name = "made", modules = ["jdk.compiler", "jdk.zipfs"], compression = 0)
genrule(name = "archive", srcs = [":made"], out = "jdk.tar", cmd = "tar --create --dereference --file $OUT $SRCS")
java_toolchain(name = "jdk", jdk = ":archive")
java_toolchain(name = "empty", jdk = "empty.tar")
java_toolchain(name = "away", jdk_url = "http://127.0.0.1:9/jdk.tar.gz")
`,
      'jdk/empty.tar': execFileSync('tar', ['--create', '--files-from', '/dev/null'], { encoding: 'latin1' }),
      'app/BUILD': `
java_library(name = "lib", srcs = ["Lib.java"], toolchain = "//jdk:jdk")
genrule(name = "version", tools = ["//jdk:jdk|java"], cmd = "$TOOL --list-modules | sed s/@.*// > $OUT", out = "version.txt")
`,
      'app/Lib.java': 'package app; class Lib {}',
    });
    const { ran } = await w.build('//app:lib');
    expect(Object.keys(ran)).toContain('//jdk:jdk');
    const listed = run('cat', await built(w, '//app:version'));
    expect(listed.trim().split('\n').sort()).toEqual(['java.base', 'java.compiler', 'jdk.compiler', 'jdk.zipfs']);
    const faultOf = (label: Label) =>
      w.build(label).then(
        () => '',
        (error: { notes: string[] }) => error.notes.join('\n'),
      );
    expect(await faultOf('//jdk:empty')).toContain('holds no bin/javac');
    expect(await faultOf('//jdk:_away#download')).toContain('could not be fetched from any of its addresses');
  });
});
