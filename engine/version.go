package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	etcd "go.etcd.io/etcd/api/v3/version"
	"k8s.io/component-base/version"
)

// versions is what `engine version --json` prints, one object on one line.
type versions struct {
	Kubernetes string `json:"kubernetes"` // "v1.37.2"
	Etcd       string `json:"etcd"`       // "v3.7.3"
	Go         string `json:"go"`         // "go1.26.8"
	Platform   string `json:"platform"`   // "linux/amd64"
}

func runVersion() {
	v := versions{
		Kubernetes: version.Get().GitVersion,
		Etcd:       "v" + etcd.Version,
		Go:         runtime.Version(),
		Platform:   runtime.GOOS + "/" + runtime.GOARCH,
	}
	switch args := os.Args[1:]; {
	case len(args) == 0:
		fmt.Printf("kubernetes %s\netcd %s\ngo %s\nplatform %s\n", v.Kubernetes, v.Etcd, v.Go, v.Platform)
	case len(args) == 1 && args[0] == "--json":
		if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
			fmt.Fprintf(os.Stderr, "engine version: writing to standard output: %v\n", err)
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "engine version: unknown arguments %q: it takes --json or nothing\n", args)
		os.Exit(2)
	}
}
