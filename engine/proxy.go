package main

import (
	"flag"
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-proxy/app"
)

func runProxy() {
	// kube-proxy takes all flags of this set for its own, and the kubelet's packages have put cAdvisor's there.
	flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	os.Exit(cli.Run(app.NewProxyCommand()))
}
