// Inspect reads one folder of Go files with the toolchain's own parsers and says what a build tool has to know: which files
// belong to the package on this platform, what they import and embed, and which tests they hold.
//
//	inspect [-cgo] [-all] [-tags a,b] <folder> <result.json>
//	inspect -module [-tags a,b] <folder> <result.json>
//
// With -module it lists the packages of a whole module, with what they import on any platform that is built for.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

type position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

type reference struct {
	Path string     `json:"path"`
	At   []position `json:"at"`
}

// A group of files that are compiled together: the package, its internal tests, its external tests.
type group struct {
	Files   []string    `json:"files"`
	Imports []reference `json:"imports"`
	// Pattern of a go:embed line to the files that it stands for.
	Embeds map[string][]string `json:"embeds"`
}

type function struct {
	Name string `json:"name"`
	// For examples: what they have to print.
	Output    string `json:"output,omitempty"`
	Unordered bool   `json:"unordered,omitempty"`
}

type functions struct {
	Tests      []function `json:"tests"`
	Benchmarks []function `json:"benchmarks"`
	Fuzzers    []function `json:"fuzzers"`
	Examples   []function `json:"examples"`
	Main       bool       `json:"main"`
}

type problem struct {
	Message string    `json:"message"`
	At      *position `json:"at,omitempty"`
}

type result struct {
	Name         string    `json:"name"`
	Library      group     `json:"library"`
	Internal     group     `json:"internal"`
	External     group     `json:"external"`
	InternalHave functions `json:"internalHave"`
	ExternalHave functions `json:"externalHave"`
	// Files for Go's assembler, and those for a C compiler with what they say of its arguments.
	Assembly []string  `json:"assembly"`
	Native   native    `json:"native"`
	Problems []problem `json:"problems"`
}

// What cgo needs of a package.
type native struct {
	Go        []string `json:"go"`
	C         []string `json:"c"`
	Cxx       []string `json:"cxx"`
	Headers   []string `json:"headers"`
	CFlags    []string `json:"cFlags"`
	CppFlags  []string `json:"cppFlags"`
	CxxFlags  []string `json:"cxxFlags"`
	LdFlags   []string `json:"ldFlags"`
	PkgConfig []string `json:"pkgConfig"`
	// Files that no compiler here reads.
	Other []string `json:"other"`
}

func main() {
	cgo := flag.Bool("cgo", false, "take files that import C")
	tags := flag.String("tags", "", "build tags, with commas")
	all := flag.Bool("all", false, "take files for other systems, too")
	module := flag.Bool("module", false, "list the packages of a module")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: inspect [-cgo] [-all] [-tags TAGS] [-module] FOLDER RESULT")
		os.Exit(2)
	}
	context := build.Default
	context.CgoEnabled = *cgo
	context.UseAllFiles = *all
	if *tags != "" {
		context.BuildTags = strings.Split(*tags, ",")
	}
	var found any
	if *module {
		found = listModule(context, flag.Arg(0))
	} else {
		found = inspect(context, flag.Arg(0))
	}
	text, err := json.Marshal(found)
	if err == nil {
		err = os.WriteFile(flag.Arg(1), text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func inspect(context build.Context, folder string) *result {
	out := &result{}
	pkg, err := context.ImportDir(folder, build.ImportComment)
	var none *build.NoGoError
	if err != nil && !errors.As(err, &none) {
		out.report(folder, err)
	}
	out.Name = pkg.Name
	out.Assembly = pkg.SFiles
	out.Native = native{
		Go: pkg.CgoFiles, C: pkg.CFiles, Cxx: pkg.CXXFiles, Headers: pkg.HFiles,
		CFlags: pkg.CgoCFLAGS, CppFlags: pkg.CgoCPPFLAGS, CxxFlags: pkg.CgoCXXFLAGS, LdFlags: pkg.CgoLDFLAGS,
		PkgConfig: pkg.CgoPkgConfig,
	}
	for _, names := range [][]string{pkg.MFiles, pkg.FFiles, pkg.SwigFiles, pkg.SwigCXXFiles} {
		out.Native.Other = append(out.Native.Other, names...)
	}
	if !context.CgoEnabled {
		// Without cgo they are left out, as `go build` does; whether anything remains is for whoever asks.
		for _, name := range pkg.IgnoredGoFiles {
			if importsC(filepath.Join(folder, name)) {
				out.Native.Go = append(out.Native.Go, name)
			}
		}
	}
	files := listFiles(folder)
	out.Library = out.groupOf(folder, files, pkg.GoFiles, pkg.ImportPos, pkg.EmbedPatternPos)
	out.Internal = out.groupOf(folder, files, pkg.TestGoFiles, pkg.TestImportPos, pkg.TestEmbedPatternPos)
	out.External = out.groupOf(folder, files, pkg.XTestGoFiles, pkg.XTestImportPos, pkg.XTestEmbedPatternPos)
	out.InternalHave = out.functionsOf(folder, pkg.TestGoFiles)
	out.ExternalHave = out.functionsOf(folder, pkg.XTestGoFiles)
	if out.Name == "" && len(pkg.XTestGoFiles) > 0 {
		out.Name = "main"
	}
	return out
}

func importsC(file string) bool {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return false
	}
	for _, each := range parsed.Imports {
		if each.Path.Value == `"C"` {
			return true
		}
	}
	return false
}

func (out *result) report(folder string, err error) {
	var list scanner.ErrorList
	if errors.As(err, &list) {
		for _, each := range list {
			at := place(folder, each.Pos)
			out.Problems = append(out.Problems, problem{each.Msg, &at})
		}
		return
	}
	out.Problems = append(out.Problems, problem{Message: strings.ReplaceAll(err.Error(), folder+"/", "")})
}

func place(folder string, at token.Position) position {
	name, err := filepath.Rel(folder, at.Filename)
	if err != nil {
		name = at.Filename
	}
	return position{name, at.Line, at.Column}
}

func (out *result) groupOf(folder string, all, files []string, imports, embeds map[string][]token.Position) group {
	found := group{Files: files, Embeds: map[string][]string{}}
	for path, positions := range imports {
		each := reference{Path: path}
		for _, at := range positions {
			each.At = append(each.At, place(folder, at))
		}
		found.Imports = append(found.Imports, each)
	}
	sort.Slice(found.Imports, func(a, b int) bool { return found.Imports[a].Path < found.Imports[b].Path })
	for pattern, positions := range embeds {
		matched, err := matchEmbed(all, pattern)
		if err != nil {
			at := place(folder, positions[0])
			out.Problems = append(out.Problems, problem{err.Error(), &at})
		}
		found.Embeds[pattern] = matched
	}
	return found
}

func listFiles(folder string) []string {
	var files []string
	_ = filepath.WalkDir(folder, func(at string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			if name, err := filepath.Rel(folder, at); err == nil {
				files = append(files, filepath.ToSlash(name))
			}
		}
		return nil
	})
	return files
}

// The rules of https://pkg.go.dev/embed: a pattern is one of path.Match; a folder stands for all files below it but those
// whose names begin with . or _, unless the pattern begins with all:
func matchEmbed(files []string, pattern string) ([]string, error) {
	glob, all := strings.CutPrefix(pattern, "all:")
	if _, err := path.Match(glob, ""); err != nil || !fs.ValidPath(glob) {
		return nil, fmt.Errorf("pattern %s: invalid pattern syntax", pattern)
	}
	var matched []string
	for _, file := range files {
		if ok, _ := path.Match(glob, file); ok {
			matched = append(matched, file)
			continue
		}
		for folder := path.Dir(file); folder != "."; folder = path.Dir(folder) {
			if ok, _ := path.Match(glob, folder); !ok && glob != "." {
				continue
			}
			if all || !hidden(strings.TrimPrefix(file, folder+"/")) {
				matched = append(matched, file)
			}
			break
		}
	}
	if len(matched) == 0 {
		return nil, fmt.Errorf("pattern %s: no matching files among embedsrcs", pattern)
	}
	return matched, nil
}

func hidden(file string) bool {
	for _, part := range strings.Split(file, "/") {
		if strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_") {
			return true
		}
	}
	return false
}

func (out *result) functionsOf(folder string, names []string) functions {
	var found functions
	files := token.NewFileSet()
	for _, name := range names {
		parsed, err := parser.ParseFile(files, filepath.Join(folder, name), nil, parser.ParseComments)
		if err != nil {
			out.report(folder, err)
			continue
		}
		for _, declared := range parsed.Decls {
			each, ok := declared.(*ast.FuncDecl)
			if !ok || each.Recv != nil {
				continue
			}
			switch name := each.Name.Name; {
			case name == "TestMain" && takes(each, "M"):
				found.Main = true
			case isTest(name, "Test") && takes(each, "T"):
				found.Tests = append(found.Tests, function{Name: name})
			case isTest(name, "Benchmark") && takes(each, "B"):
				found.Benchmarks = append(found.Benchmarks, function{Name: name})
			case isTest(name, "Fuzz") && takes(each, "F"):
				found.Fuzzers = append(found.Fuzzers, function{Name: name})
			}
		}
		examples := doc.Examples(parsed)
		sort.Slice(examples, func(a, b int) bool { return examples[a].Order < examples[b].Order })
		for _, each := range examples {
			if each.Output != "" || each.EmptyOutput {
				found.Examples = append(found.Examples, function{"Example" + each.Name, each.Output, each.Unordered})
			}
		}
	}
	return found
}

// As `go test` has it: the prefix, and then nothing or what is no small letter.
func isTest(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return false
	}
	first, _ := utf8.DecodeRuneInString(rest)
	return rest == "" || !unicode.IsLower(first)
}

// Whether a function takes one argument that is a pointer to this type of the package testing.
func takes(each *ast.FuncDecl, name string) bool {
	params := each.Type.Params.List
	if each.Type.Results != nil && len(each.Type.Results.List) > 0 || len(params) != 1 || len(params[0].Names) > 1 {
		return false
	}
	pointer, ok := params[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	if direct, ok := pointer.X.(*ast.Ident); ok {
		return direct.Name == name
	}
	selected, ok := pointer.X.(*ast.SelectorExpr)
	return ok && selected.Sel.Name == name
}

// One package of a module.
type modulePackage struct {
	// Below the module's folder; "." for that itself.
	Folder  string   `json:"folder"`
	Name    string   `json:"name"`
	Imports []string `json:"imports"`
	// It has files that import C.
	Cgo bool `json:"cgo"`
	// Files below the folder that `//go:embed` lines name.
	Embeds []string `json:"embeds"`
}

// The platforms whose imports are joined. More imports than one needs do no harm.
var architectures = []string{"amd64", "arm64"}

func listModule(context build.Context, root string) []*modulePackage {
	packages := []*modulePackage{}
	_ = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil
		}
		name := entry.Name()
		if at != root {
			if name == "testdata" || name == "vendor" || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
				return filepath.SkipDir
			}
		}
		folder, err := filepath.Rel(root, at)
		if err != nil {
			return nil
		}
		found := &modulePackage{Folder: filepath.ToSlash(folder)}
		imports := map[string]bool{}
		patterns := map[string]bool{}
		for _, architecture := range architectures {
			for _, cgo := range []bool{false, true} {
				context.GOOS, context.GOARCH, context.CgoEnabled = "linux", architecture, cgo
				pkg, err := context.ImportDir(at, 0)
				if err != nil || len(pkg.GoFiles)+len(pkg.CgoFiles) == 0 {
					continue
				}
				found.Name = pkg.Name
				found.Cgo = found.Cgo || len(pkg.CgoFiles) > 0
				for _, each := range pkg.Imports {
					imports[each] = true
				}
				for _, each := range pkg.EmbedPatterns {
					patterns[each] = true
				}
			}
		}
		if found.Name == "" {
			return nil
		}
		found.Imports = make([]string, 0, len(imports))
		for each := range imports {
			if each != "C" {
				found.Imports = append(found.Imports, each)
			}
		}
		sort.Strings(found.Imports)
		embeds := map[string]bool{}
		if len(patterns) > 0 {
			files := listFiles(at)
			for pattern := range patterns {
				// What fits nothing is told when the package is compiled.
				matched, _ := matchEmbed(files, pattern)
				for _, name := range matched {
					embeds[name] = true
				}
			}
		}
		found.Embeds = make([]string, 0, len(embeds))
		for name := range embeds {
			found.Embeds = append(found.Embeds, name)
		}
		sort.Strings(found.Embeds)
		packages = append(packages, found)
		return nil
	})
	return packages
}
