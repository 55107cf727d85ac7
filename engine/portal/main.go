// Package main joins TCP and Unix sockets of two network namespaces, without any address, bridge or route
// between them: the host's 127.0.0.1:8080 to a service's address inside the node, and the node's
// 127.0.0.1:5000 to a registry's socket file on the host.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// retryEvery is the time between two tries to open a listener whose address was taken.
const retryEvery = time.Second

func main() {
	log.SetFlags(0) // whoever started the process stamps the lines
	log.SetPrefix("portal: ")
	netns := flag.String("netns", "", "the node's network namespace, an nsfs `FILE` (required)")
	configFile := flag.String("config", "", "the forwards, a JSON `FILE`; read at the start and at SIGHUP (required)")
	statusFile := flag.String("status", "", "the `FILE` that tells which forwards listen; removed at the end")
	flag.Parse()
	if *netns == "" || *configFile == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "portal: --netns and --config are required, and nothing beside flags is taken")
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*netns, *configFile, *statusFile); err != nil {
		log.Fatal(err)
	}
}

func run(netns, configFile, statusFile string) error {
	// Before all else: a signal that arrives while the listeners are opened must neither kill nor be lost.
	reload := make(chan os.Signal, 1)
	stop := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	syscall.Umask(0o077) // socket files are their owner's alone

	node, err := enterNamespace(netns)
	if err != nil {
		return err
	}
	config, err := readConfig(configFile)
	if err != nil {
		return fmt.Errorf("reading the forwards: %w", err)
	}
	portal := NewPortal(node)
	portal.Apply(config)
	defer portal.Close()

	report := func(problem error) {
		if statusFile == "" {
			return
		}
		status := portal.Status()
		if problem != nil {
			status.Error = problem.Error()
		}
		if err := writeStatus(statusFile, status); err != nil {
			log.Printf("writing the status: %v", err)
		}
	}
	report(nil)
	defer func() {
		if statusFile == "" {
			return
		}
		if err := os.Remove(statusFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Printf("removing the status: %v", err)
		}
	}()

	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	var problem error
	for {
		select {
		case <-stop:
			return nil
		case <-reload:
			config, err := readConfig(configFile)
			problem = err
			if err != nil {
				log.Printf("reading the forwards: %v; those before stay in force", err)
			} else {
				portal.Apply(config)
			}
			report(problem)
		case <-retry.C:
			if portal.Retry() {
				report(problem)
			}
		}
	}
}
