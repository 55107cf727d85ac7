// load makes transfers through the gateway for a bounded time and writes down which the bank acknowledged; with -verify it
// proves from the ledger that each of them was made just once.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"bank/load/traffic"
)

// A load test ends by itself.
const (
	longestRun  = 10 * time.Minute
	mostWorkers = 64
)

func main() {
	ok, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "load: "+err.Error())
		var wrongUse *useError
		if errors.As(err, &wrongUse) {
			os.Exit(2)
		}
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

type useError struct{ text string }

func (e *useError) Error() string { return e.text }

// run is false where requests failed or the ledger is not as it should be.
func run(arguments []string) (bool, error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	base := flags.String("url", "http://127.0.0.1:8080", "the bank's public `URL`")
	key := flags.String("key", os.Getenv("BANK_API_KEY"), "the caller's `key`; by default $BANK_API_KEY")
	file := flags.String("summary", "load.json", "the `file` that a run writes and -verify reads")
	verify := flags.Bool("verify", false, "check the ledger against the summary of an earlier run")
	workers := flags.Int("workers", 4, "requests at a time")
	duration := flags.Duration("duration", 10*time.Second, "how long to go on; at most 10m")
	most := flags.Int("requests", 1_000_000, "how many requests at most")
	accounts := flags.Int("accounts", 8, "between how many accounts the money moves")
	rate := flags.Int("rate", 0, "requests a second at most; 0 for as fast as the bank answers")
	name := flags.String("run", "load-"+strconv.FormatInt(time.Now().UnixMilli(), 36), "`name` of the run, which its accounts and transfers begin with")
	if err := flags.Parse(arguments); err != nil {
		return false, &useError{err.Error()}
	}
	target, err := url.Parse(*base)
	switch {
	case err != nil || target.Host == "" || (target.Scheme != "http" && target.Scheme != "https"):
		return false, &useError{fmt.Sprintf("-url %q is not an http or https URL", *base)}
	case flags.NArg() > 0:
		return false, &useError{"unexpected argument " + flags.Arg(0)}
	case *key == "":
		return false, &useError{"there is no key: use -key or set BANK_API_KEY"}
	case *workers < 1 || *workers > mostWorkers:
		return false, &useError{fmt.Sprintf("-workers must be from 1 to %d", mostWorkers)}
	case *duration <= 0 || *duration > longestRun:
		return false, &useError{fmt.Sprintf("-duration must be above 0 and at most %s", longestRun)}
	case *most < 1 || *accounts < 2 || *accounts > 1000 || *rate < 0:
		return false, &useError{"-requests must be at least 1, -accounts from 2 to 1000, -rate not below 0"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	client := traffic.NewClient(target, *key, *workers)
	if *verify {
		return check(ctx, client, *file)
	}
	summary, err := traffic.Run(ctx, client, traffic.Plan{
		Run: *name, Workers: *workers, Duration: *duration, MaxRequests: *most, Accounts: *accounts, PerSecond: *rate,
	})
	if err != nil {
		return false, err
	}
	if err := write(*file, summary); err != nil {
		return false, err
	}
	shown := *summary
	shown.Acknowledged, shown.Accounts = nil, nil
	return summary.Failures == 0, print(shown)
}

func check(ctx context.Context, client *traffic.Client, file string) (bool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return false, fmt.Errorf("cannot read the summary: %w", err)
	}
	var summary traffic.Summary
	if err := json.Unmarshal(text, &summary); err != nil || summary.Run == "" {
		return false, fmt.Errorf("%s is not the summary of a run", file)
	}
	verdict, err := traffic.Verify(ctx, client, &summary)
	if err != nil {
		return false, err
	}
	return len(verdict.Violations) == 0, print(verdict)
}

// write leaves a whole file or none.
func write(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	unfinished, err := os.CreateTemp(filepath.Dir(path), ".load-*")
	if err != nil {
		return err
	}
	_, err = unfinished.Write(append(text, '\n'))
	if err = errors.Join(err, unfinished.Close()); err == nil {
		err = os.Rename(unfinished.Name(), path)
	}
	if err != nil {
		os.Remove(unfinished.Name())
	}
	return err
}

func print(value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(text))
	return err
}
