// The sidecar takes requests at a pod's public port, logs and measures them, and hands them to the service in the pod.
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
	"bank/common/sidecar/proxy"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "sidecar")
	if err := run(log); err != nil {
		log.Error("stopped by an error", "error", err.Error())
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	env := settings.NewReader(os.LookupEnv)
	listen := env.Address("SIDECAR_LISTEN", ":8080")
	adminListen := env.Address("SIDECAR_ADMIN_LISTEN", ":9090")
	upstream := env.URL("SIDECAR_UPSTREAM")
	answerTimeout := env.Duration("SIDECAR_ANSWER_TIMEOUT", 30*time.Second, time.Millisecond, 55*time.Second)
	drain := env.Duration("SIDECAR_DRAIN", 3*time.Second, 0, time.Minute)
	grace := env.Duration("SIDECAR_GRACE", 3*time.Second, 0, time.Minute)
	if err := env.Err(); err != nil {
		return fmt.Errorf("wrong settings:\n%w", err)
	}

	registry := metrics.NewRegistry()
	metrics.AddProcess(registry, time.Now())
	ready := health.New(nil)
	admin := http.NewServeMux()
	ready.Routes(admin)
	admin.Handle("GET /metrics", registry)
	return httpserver.Run(ctx, httpserver.Options{
		Public: []httpserver.Listener{{Address: listen, Handler: proxy.New(proxy.Options{
			Upstream: upstream, AnswerTimeout: answerTimeout, Registry: registry, Log: log,
		})}},
		Admin:  []httpserver.Listener{{Address: adminListen, Handler: admin}},
		Health: ready,
		Drain:  drain,
		Grace:  grace,
		Log:    log,
	})
}
