// The gateway is the bank's front: it knows the callers, holds them to their limits, and calls the services behind it.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"bank/common/health"
	"bank/common/httpserver"
	"bank/common/metrics"
	"bank/common/settings"
	"bank/gateway/api"
	"bank/gateway/keys"
	"bank/gateway/limit"
	"bank/gateway/upstream"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "gateway")
	if err := run(log); err != nil {
		log.Error("stopped by an error", "error", err.Error())
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	env := settings.NewReader(os.LookupEnv)
	listen := env.Address("GATEWAY_LISTEN", "127.0.0.1:8081")
	adminListen := env.Address("GATEWAY_ADMIN_LISTEN", ":9091")
	ledger := env.URL("GATEWAY_LEDGER_URL")
	statements := env.URL("GATEWAY_STATEMENTS_URL")
	keysFile := env.Text("GATEWAY_KEYS_FILE")
	perSecond := env.Integer("GATEWAY_REQUESTS_PER_SECOND", 100, 1, 1_000_000)
	burst := env.Integer("GATEWAY_BURST", 2*perSecond, 1, 1_000_000)
	drain := env.Duration("GATEWAY_DRAIN", 3*time.Second, 0, time.Minute)
	grace := env.Duration("GATEWAY_GRACE", 3*time.Second, 0, time.Minute)
	if err := env.Err(); err != nil {
		return fmt.Errorf("wrong settings:\n%w", err)
	}
	callers, err := keys.Open(keysFile)
	if err != nil {
		return err
	}
	go callers.Watch(ctx, 5*time.Second, log)

	registry := metrics.NewRegistry()
	metrics.AddProcess(registry, time.Now())
	retries := registry.Counter("gateway_upstream_retries_total", "Calls to a service that failed and were repeated.", "upstream")
	retried := func(service string, err error) {
		retries.Increment(service)
		log.Debug("call repeated", "upstream", service, "error", err.Error())
	}
	// The ready check asks nothing of the services behind: with them away, the gateway still is who can say so.
	ready := health.New(nil)
	admin := http.NewServeMux()
	ready.Routes(admin)
	admin.Handle("GET /metrics", registry)
	return httpserver.Run(ctx, httpserver.Options{
		Public: []httpserver.Listener{{Address: listen, Handler: api.New(api.Options{
			Ring:    callers.Ring,
			Limiter: limit.New(perSecond, burst),
			// A transfer itself is done in milliseconds; the ledger tries for 5 s to reach a database that is restarting.
			Ledger: upstream.New(upstream.Options{Name: "ledger", Base: ledger, TryTimeout: 7 * time.Second, Timeout: 15 * time.Second, Retried: retried}),
			// A statement asks the ledger many times.
			Statements: upstream.New(upstream.Options{Name: "statements", Base: statements, TryTimeout: 20 * time.Second, Timeout: 25 * time.Second, Retried: retried}),
			Registry:   registry,
			Log:        log,
		})}},
		Admin:  []httpserver.Listener{{Address: adminListen, Handler: admin}},
		Health: ready,
		Drain:  drain,
		Grace:  grace,
		Log:    log,
	})
}
