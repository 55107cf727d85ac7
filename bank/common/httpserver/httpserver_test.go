package httpserver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bank/common/health"
	"bank/common/httpserver"
)

type running struct {
	public, admin string
	stop          context.CancelFunc
	ended         chan error
}

func run(t *testing.T, handler http.Handler, drain, grace time.Duration) running {
	t.Helper()
	h := health.New(nil)
	admin := http.NewServeMux()
	h.Routes(admin)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	started := make(chan []net.Addr, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- httpserver.Run(ctx, httpserver.Options{
			Public:  []httpserver.Listener{{Address: "127.0.0.1:0", Handler: handler}},
			Admin:   []httpserver.Listener{{Address: "127.0.0.1:0", Handler: admin}},
			Health:  h,
			Drain:   drain,
			Grace:   grace,
			Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
			Started: func(addresses []net.Addr) { started <- addresses },
		})
	}()
	select {
	case addresses := <-started:
		return running{"http://" + addresses[0].String(), "http://" + addresses[1].String(), stop, ended}
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(5 * time.Second):
		t.Fatal("did not start")
	}
	panic("unreachable")
}

func status(t *testing.T, url string) int {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatal("waited in vain: " + what)
}

func TestServesWhileDrainingButUnreadyAndAsksToClose(t *testing.T) {
	server := run(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), 500*time.Millisecond, time.Second)
	if got := status(t, server.admin+"/readyz"); got != 200 {
		t.Fatalf("readiness %d before the signal", got)
	}
	server.stop()
	waitFor(t, "unready", func() bool { return status(t, server.admin+"/readyz") == 503 })
	answer, err := http.Get(server.public)
	if err != nil {
		t.Fatalf("a new connection while draining: %v", err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || !answer.Close {
		t.Errorf("status %d, close %t", answer.StatusCode, answer.Close)
	}
	if err := <-server.ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(server.public); err == nil {
		t.Error("still serves after the end")
	}
}

func TestARequestUnderWayIsFinished(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	server := run(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		io.WriteString(w, "whole")
	}), 0, 5*time.Second)
	body := make(chan string, 1)
	go func() {
		answer, err := http.Get(server.public)
		if err != nil {
			body <- err.Error()
			return
		}
		text, _ := io.ReadAll(answer.Body)
		body <- string(text)
	}()
	<-begun
	server.stop()
	time.Sleep(50 * time.Millisecond)
	close(release)
	if got := <-body; got != "whole" {
		t.Errorf("got %q", got)
	}
	if err := <-server.ended; err != nil {
		t.Error(err)
	}
}

func TestARequestThatDoesNotEndIsCutOffAndNamed(t *testing.T) {
	begun := make(chan struct{})
	server := run(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	}), 0, 100*time.Millisecond)
	go http.Get(server.public)
	<-begun
	server.stop()
	err := <-server.ended
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v", err)
	}
}

func TestATakenAddressIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = httpserver.Run(context.Background(), httpserver.Options{
		Public: []httpserver.Listener{{Address: taken.Addr().String()}},
		Health: health.New(nil),
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("got %v", err)
	}
}
