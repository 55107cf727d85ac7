// init is the first process of the database's container: it makes the data folder once, runs PostgreSQL on it, says how it
// is, and stops it in order at SIGTERM (which PostgreSQL itself takes as the wish to wait for every client).
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bank/common/health"
	"bank/common/httpserver"
	"bank/common/metrics"
	"bank/common/settings"
	"bank/postgres/cluster"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "postgres")
	if err := run(log); err != nil {
		log.Error("stopped by an error", "error", err.Error())
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	env := settings.NewReader(os.LookupEnv)
	options := cluster.Options{
		Binaries: env.TextOr("POSTGRES_BINARIES", "/usr/lib/postgresql/15/bin"),
		Data:     env.Text("POSTGRES_DATA"),
		Sockets:  env.TextOr("POSTGRES_SOCKETS", "/run/postgresql"),
		Host:     env.TextOr("POSTGRES_HOST", "*"),
		Port:     env.Integer("POSTGRES_PORT", 5432, 1, 65535),
		Role:     env.Text("POSTGRES_ROLE"),
		Log:      log,
	}
	passwordFile := env.Text("POSTGRES_PASSWORD_FILE")
	adminListen := env.Address("POSTGRES_ADMIN_LISTEN", ":9187")
	patience := env.Duration("POSTGRES_STOP_TIMEOUT", 20*time.Second, time.Second, 5*time.Minute)
	if err := env.Err(); err != nil {
		return fmt.Errorf("wrong settings:\n%w", err)
	}
	password, err := os.ReadFile(passwordFile)
	if err != nil {
		return fmt.Errorf("cannot read the role's password: %w", err)
	}
	options.Password = strings.TrimSpace(string(password))

	signalled, ignore := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer ignore()
	ctx, stop := context.WithCancel(signalled)
	defer stop()
	// The probes are answered from the first moment to the last.
	adminContext, stopAdmin := context.WithCancel(context.Background())
	defer stopAdmin()
	ready := health.New(func(ctx context.Context) error { return cluster.Ready(ctx, options) })
	go func() { <-signalled.Done(); ready.Drain() }()
	adminEnded := make(chan error, 1)
	go func() {
		err := httpserver.Run(adminContext, httpserver.Options{
			Admin:  []httpserver.Listener{{Address: adminListen, Handler: admin(options, ready)}},
			Health: ready,
			Grace:  time.Second,
			Log:    log,
		})
		stop() // without probes there is no database
		adminEnded <- err
	}()

	err = cluster.Prepare(ctx, options)
	if err == nil {
		err = cluster.Serve(ctx, options, patience)
	} else if signalled.Err() != nil {
		err = nil // told to stop in the middle; the next start begins again
	}
	stopAdmin()
	return errors.Join(err, <-adminEnded)
}

func admin(options cluster.Options, ready *health.Health) http.Handler {
	registry := metrics.NewRegistry()
	metrics.AddProcess(registry, time.Now())
	registry.Gauge("postgres_up", "Whether the server takes sessions: 1 or 0.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if cluster.Ready(ctx, options) != nil {
			return 0
		}
		return 1
	})
	volume := func(read func(*syscall.Statfs_t) uint64) func() float64 {
		return func() float64 {
			var stat syscall.Statfs_t
			if syscall.Statfs(filepath.Dir(options.Data), &stat) != nil {
				return 0
			}
			return float64(read(&stat)) * float64(stat.Bsize)
		}
	}
	registry.Gauge("postgres_volume_size_bytes", "Size of the volume with the data.", volume(func(s *syscall.Statfs_t) uint64 { return s.Blocks }))
	registry.Gauge("postgres_volume_available_bytes", "What may still be written to it.", volume(func(s *syscall.Statfs_t) uint64 { return s.Bavail }))
	mux := http.NewServeMux()
	ready.Routes(mux)
	mux.Handle("GET /metrics", registry)
	return mux
}
