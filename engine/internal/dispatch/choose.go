// Package dispatch decides which component a call of the multi-call binary means.
// It knows nothing of Kubernetes, so that its tests link in milliseconds.
package dispatch

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Component is one program inside the binary.
type Component struct {
	// Name is the first argument that chooses it: "apiserver".
	Name string
	// Program is the name that upstream's own binary has: "kube-apiserver". It becomes os.Args[0], because
	// upstream prints it in usage texts and kubectl derives the prefix of its plugins from it. A link of this
	// name that points at the binary chooses the component too.
	Program string
	// Run takes over the process with os.Args as upstream's main would see them, and ends it.
	Run func()
}

// Choose returns the component that argv means and the argv that the component has to see.
//
// The base name of argv[0] is looked up first (a link named kubectl), then argv[1] (`engine kubectl`).
// The error names what was asked for and what there is.
func Choose(argv []string, components []Component) (Component, []string, error) {
	var none Component
	if len(argv) == 0 {
		return none, nil, fmt.Errorf("the program was started without a name: it needs argv[0]")
	}
	base := filepath.Base(argv[0])
	for _, c := range components {
		if base == c.Program {
			return c, replaceFirst(c.Program, argv[1:]), nil
		}
	}
	if len(argv) < 2 {
		return none, nil, fmt.Errorf("no component was named: call it as %s", usage(components))
	}
	for _, c := range components {
		if argv[1] == c.Name || argv[1] == c.Program {
			return c, replaceFirst(c.Program, argv[2:]), nil
		}
	}
	return none, nil, fmt.Errorf("there is no component %q: call it as %s", argv[1], usage(components))
}

func replaceFirst(program string, rest []string) []string {
	return append([]string{program}, rest...)
}

func usage(components []Component) string {
	names := make([]string, 0, len(components))
	for _, c := range components {
		names = append(names, c.Name)
	}
	return "engine " + strings.Join(names, "|") + " [upstream flags...]"
}
