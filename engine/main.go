// Package main is the programs of a Kubernetes cluster in one binary, so that they share one download, one
// build and, by way of the page cache, one copy of their code in memory.
//
// Each component is upstream's own command, wired as upstream's main wires it, in the file of its name.
package main

import (
	"fmt"
	"os"

	"banksman.dev/engine/internal/dispatch"
	"banksman.dev/engine/internal/resident"

	// What every one of upstream's mains links for its side effects.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

var components = []dispatch.Component{
	{Name: "etcd", Program: "etcd", Run: runEtcd},
	{Name: "apiserver", Program: "kube-apiserver", Run: runAPIServer},
	{Name: "controller-manager", Program: "kube-controller-manager", Run: runControllerManager},
	{Name: "scheduler", Program: "kube-scheduler", Run: runScheduler},
	{Name: "kubelet", Program: "kubelet", Run: runKubelet},
	{Name: "proxy", Program: "kube-proxy", Run: runProxy},
	{Name: "kubectl", Program: "kubectl", Run: runKubectl},
	{Name: "version", Program: "engine-version", Run: runVersion},
}

func main() {
	component, args, err := dispatch.Choose(os.Args, components)
	if err != nil {
		fmt.Fprintf(os.Stderr, "engine: %v\n", err)
		os.Exit(2)
	}
	os.Args = args
	go resident.Keep()
	component.Run()
}
