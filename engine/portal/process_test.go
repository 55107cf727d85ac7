package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain lets the test's binary be the program too, so that signals and files are tested as they ship.
func TestMain(m *testing.M) {
	if os.Getenv("PORTAL_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestProcess(t *testing.T) {
	namespace := makeNamespace(t)
	folder := t.TempDir()
	configFile, statusFile := filepath.Join(folder, "forwards.json"), filepath.Join(folder, "status.json")
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	target := hostTCP(serve(t, echo))
	configure := func(config Config) {
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(configFile, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status := func() (status Status, ok bool) {
		text, err := os.ReadFile(statusFile)
		if err != nil {
			return status, false
		}
		if err := json.Unmarshal(text, &status); err != nil {
			t.Fatalf("the status was read half written: %v", err)
		}
		return status, true
	}
	first := Forward{"first", hostTCP("127.0.0.1:0"), target}
	configure(Config{Revision: "1", Forwards: []Forward{first, {"taken", hostTCP(taken.Addr().String()), target}}})

	command := exec.Command(os.Args[0], "--netns", namespace, "--config", configFile, "--status", statusFile)
	command.Env = append(os.Environ(), "PORTAL_TEST_MAIN=1")
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	eventually(t, "the status file stands", func() bool { _, ok := status(); return ok })
	now, _ := status()
	if !now.Forwards[0].Listening || now.Forwards[1].Listening {
		t.Fatalf("got %+v", now)
	}
	conn := connectTo(t, "tcp", now.Forwards[0].Address)
	roundTrip(t, conn, "one")

	taken.Close()
	eventually(t, "the freed port is opened without a signal", func() bool { s, _ := status(); return s.Forwards[1].Listening })

	configure(Config{Revision: "2", Forwards: []Forward{first}})
	hangUp(t, command)
	eventually(t, "revision 2 is in force", func() bool { s, _ := status(); return s.Revision == "2" })
	roundTrip(t, conn, "two")

	if err := os.WriteFile(configFile, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp(t, command)
	eventually(t, "the status tells of the broken file", func() bool { s, _ := status(); return s.Error != "" })
	if s, _ := status(); s.Revision != "2" || !s.Forwards[0].Listening {
		t.Fatalf("a broken file changed what was in force: %+v", s)
	}
	roundTrip(t, conn, "three")

	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("it did not end cleanly: %v", err)
	}
	if _, ok := status(); ok {
		t.Fatal("the status outlived the process")
	}
	if _, err := io.ReadAll(conn); err == nil {
		t.Fatal("the connection had a clean end")
	}
}

func hangUp(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if err := command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}
