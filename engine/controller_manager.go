package main

import (
	"os"
	_ "time/tzdata" // a CronJob names its time zone, and this machine may have no zone files

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func runControllerManager() {
	os.Exit(cli.Run(app.NewControllerManagerCommand()))
}
