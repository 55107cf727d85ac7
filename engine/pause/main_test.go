package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build makes the program once for a test, as it ships: what is tested is a process, not a function.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "pause")
	command := exec.Command("go", "build", "-o", binary, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

func TestEndsCleanlyOnSignal(t *testing.T) {
	binary := build(t)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		command := exec.Command(binary)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		waitForHandlers(t, command.Process.Pid)
		if err := command.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := command.Wait(); err != nil {
			t.Fatalf("after %v: %v, want exit status 0", signal, err)
		}
	}
}

func TestReapsOrphansAsFirstProcess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a PID namespace is made")
	}
	binary := build(t)
	// The shell becomes pause by exec, and so is PID 1 of the new namespace and parent of the two sleeps.
	command := exec.Command("/bin/sh", "-c", `sleep 0.2 & (sleep 0.3 & sleep 0.1) & exec "$0"`, binary)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	waitForHandlers(t, command.Process.Pid)
	deadline := time.Now().Add(5 * time.Second)
	for children(t, command.Process.Pid) != "" {
		if time.Now().After(deadline) {
			t.Fatalf("children were left after 5 s: %s", children(t, command.Process.Pid))
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("PID 1 did not end cleanly: %v", err)
	}
}

// waitForHandlers returns once the process has replaced the default action of SIGTERM and SIGINT.
func waitForHandlers(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		exe, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
		// The Go runtime catches all signals from its start; the mask alone doesn't say that the program is
		// ready, but its name and a moment do.
		if strings.Contains(exe, "pause") && strings.Contains(string(status), "SigCgt") {
			time.Sleep(100 * time.Millisecond)
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("pause did not start within 5 s")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func children(t *testing.T, pid int) string {
	t.Helper()
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // a thread may be gone by now
		all.Write(text)
	}
	return strings.TrimSpace(all.String())
}
