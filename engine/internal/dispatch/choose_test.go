package dispatch

import (
	"slices"
	"strings"
	"testing"
)

var components = []Component{
	{Name: "etcd", Program: "etcd"},
	{Name: "apiserver", Program: "kube-apiserver"},
	{Name: "kubectl", Program: "kubectl"},
	{Name: "version", Program: "engine-version"},
}

func TestChoose(t *testing.T) {
	for _, test := range []struct {
		title string
		argv  []string
		name  string
		args  []string
	}{
		{"the first argument chooses, and upstream's name replaces both", []string{"/x/engine", "apiserver", "--v=2"}, "apiserver", []string{"kube-apiserver", "--v=2"}},
		{"upstream's name is accepted as an argument", []string{"engine", "kube-apiserver"}, "apiserver", []string{"kube-apiserver"}},
		{"a link chooses, and no argument is eaten", []string{"/usr/bin/kubectl", "version", "--client"}, "kubectl", []string{"kubectl", "version", "--client"}},
		{"a link wins over a first argument that is a component's name", []string{"kubectl", "etcd"}, "kubectl", []string{"kubectl", "etcd"}},
		{"a binary of another name still dispatches by argument", []string{"banksman-engine", "etcd"}, "etcd", []string{"etcd"}},
	} {
		t.Run(test.title, func(t *testing.T) {
			component, args, err := Choose(test.argv, components)
			if err != nil {
				t.Fatal(err)
			}
			if component.Name != test.name || !slices.Equal(args, test.args) {
				t.Fatalf("got %s %q, want %s %q", component.Name, args, test.name, test.args)
			}
		})
	}
}

func TestChooseRefuses(t *testing.T) {
	for _, argv := range [][]string{{}, {"engine"}, {"engine", "apisrver"}, {"engine", "--help"}} {
		_, _, err := Choose(argv, components)
		if err == nil {
			t.Fatalf("%q was accepted", argv)
		}
		if len(argv) > 0 && !strings.Contains(err.Error(), "etcd|apiserver|kubectl|version") {
			t.Fatalf("the message doesn't list the components: %v", err)
		}
	}
}
