package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 5 * time.Second

func hostTCP(address string) Endpoint { return Endpoint{Side: Host, Network: "tcp", Address: address} }
func nodeTCP(address string) Endpoint { return Endpoint{Side: Node, Network: "tcp", Address: address} }
func hostUnix(path string) Endpoint   { return Endpoint{Side: Host, Network: "unix", Address: path} }

// open applies forwards to a portal whose both sides are this namespace.
func open(t *testing.T, forwards ...Forward) *Portal {
	t.Helper()
	portal := NewPortal(hostNamespace())
	t.Cleanup(portal.Close)
	portal.Apply(Config{Forwards: forwards})
	return portal
}

func addressOf(t *testing.T, portal *Portal, name string) string {
	t.Helper()
	for _, forward := range portal.Status().Forwards {
		if forward.Name == name {
			if !forward.Listening {
				t.Fatalf("%s does not listen: %s", name, forward.Error)
			}
			return forward.Address
		}
	}
	t.Fatalf("the status has no %s", name)
	return ""
}

// serve runs handle for each connection to a listener of its own and returns the address.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, handle)
	return listener.Addr().String()
}

func serveOn(t *testing.T, listener net.Listener, handle func(net.Conn)) {
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
}

func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

// answerAtEnd answers only when the whole request has come, which needs a half-close.
func answerAtEnd(conn net.Conn) {
	request, err := io.ReadAll(conn)
	if err == nil {
		fmt.Fprintf(conn, "got %d bytes", len(request))
	}
}

func connectTo(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func roundTrip(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(text))
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
	if string(answer) != text {
		t.Fatalf("got %q, want %q", answer, text)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestHalfCloseReachesTheOtherSide(t *testing.T) {
	portal := open(t, Forward{"a", hostTCP("127.0.0.1:0"), hostTCP(serve(t, answerAtEnd))})
	client := connectTo(t, "tcp", addressOf(t, portal, "a"))
	if _, err := client.Write(make([]byte, 3_000_000)); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != "got 3000000 bytes" {
		t.Fatalf("got %q, %v", answer, err)
	}
}

func TestUnixSocketsOnEitherEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "front.sock")
	back := filepath.Join(t.TempDir(), "back.sock")
	listener, err := net.Listen("unix", back)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, answerAtEnd)
	open(t, Forward{"a", hostUnix(path), hostUnix(back)})
	client := connectTo(t, "unix", path)
	fmt.Fprint(client, "four")
	if err := client.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "got 4 bytes" {
		t.Fatalf("got %q, %v", answer, err)
	}
}

func TestSocketFileOfAKilledProcessIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "front.sock")
	old, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	forward := Forward{"a", hostUnix(path), hostTCP(serve(t, echo))}

	portal := open(t, forward)
	if status := portal.Status().Forwards[0]; status.Listening {
		t.Fatal("the socket of a living process was taken over")
	}
	old.Close()
	if !portal.Retry() {
		t.Fatalf("the dead socket was not replaced: %s", portal.Status().Forwards[0].Error)
	}
	roundTrip(t, connectTo(t, "unix", path), "hello")
}

func TestSlowReaderHoldsTheWriterBack(t *testing.T) {
	release := make(chan struct{})
	portal := open(t, Forward{"a", hostTCP("127.0.0.1:0"), hostTCP(serve(t, func(conn net.Conn) {
		<-release
		answerAtEnd(conn)
	}))})
	client := connectTo(t, "tcp", addressOf(t, portal, "a"))
	const size = 256 << 20
	written := make(chan int64, 1)
	_ = client.SetWriteDeadline(time.Now().Add(time.Second))
	go func() {
		n, _ := io.CopyN(client, zeros{}, size)
		written <- n
	}()
	sent := <-written
	if sent == size {
		t.Fatal("256 MiB were taken although nobody read them")
	}
	close(release)
	_ = client.SetDeadline(time.Now().Add(4 * patience))
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if want := fmt.Sprintf("got %d bytes", sent); err != nil || string(answer) != want {
		t.Fatalf("got %q, %v, want %q", answer, err, want)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestThousandsOfConnections(t *testing.T) {
	// The test holds the far ends too: four descriptors for each connection, where portal alone needs two.
	portal := open(t, Forward{"a", hostTCP("127.0.0.1:0"), hostTCP(serve(t, echo))})
	address := addressOf(t, portal, "a")
	const count = 2000
	conns := make([]net.Conn, count)
	var wait sync.WaitGroup
	failures := make(chan error, count)
	limit := make(chan struct{}, 200)
	for i := range conns {
		wait.Add(1)
		limit <- struct{}{}
		go func() {
			defer wait.Done()
			defer func() { <-limit }()
			conn, err := net.DialTimeout("tcp", address, 2*patience)
			if err != nil {
				failures <- err
				return
			}
			conns[i] = conn
		}()
	}
	wait.Wait()
	for i, conn := range conns {
		if conn == nil {
			break
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(4 * patience))
		wait.Add(1)
		go func() {
			defer wait.Done()
			sent := bytes.Repeat([]byte{byte(i)}, 5000)
			if _, err := conn.Write(sent); err != nil {
				failures <- err
				return
			}
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(conn, got); err != nil {
				failures <- err
			} else if !bytes.Equal(got, sent) {
				failures <- errors.New("bytes of another connection")
			}
		}()
	}
	wait.Wait()
	close(failures)
	for err := range failures {
		t.Fatal(err)
	}
}

func TestATakenPortHoldsNoOtherForwardAndIsTriedAgain(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	target := hostTCP(serve(t, echo))
	portal := open(t,
		Forward{"taken", hostTCP(taken.Addr().String()), target},
		Forward{"free", hostTCP("127.0.0.1:0"), target},
	)
	roundTrip(t, connectTo(t, "tcp", addressOf(t, portal, "free")), "free")
	status := portal.Status().Forwards[0]
	if status.Listening || !strings.Contains(status.Error, "is taken by another process") {
		t.Fatalf("got %+v", status)
	}
	if portal.Retry() {
		t.Fatal("the port was opened while another process held it")
	}
	taken.Close()
	if !portal.Retry() {
		t.Fatalf("the port is free, and yet: %s", portal.Status().Forwards[0].Error)
	}
	roundTrip(t, connectTo(t, "tcp", addressOf(t, portal, "taken")), "taken")
}

func TestAnErrorIsNotHandedOnAsAnEnd(t *testing.T) {
	portal := open(t, Forward{"a", hostTCP("127.0.0.1:0"), hostTCP(serve(t, func(conn net.Conn) {
		fmt.Fprint(conn, "half of the ans")
		time.Sleep(50 * time.Millisecond)
		_ = conn.(*net.TCPConn).SetLinger(0)
	}))})
	client := connectTo(t, "tcp", addressOf(t, portal, "a"))
	if answer, err := io.ReadAll(client); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %q, %v, want a reset", answer, err)
	}
}

func TestARefusedDialResetsTheClient(t *testing.T) {
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	portal := open(t, Forward{"a", hostTCP("127.0.0.1:0"), hostTCP(closed.Addr().String())})
	client, err := net.Dial("tcp", addressOf(t, portal, "a"))
	if err == nil {
		defer client.Close()
		_ = client.SetDeadline(time.Now().Add(patience))
		_, err = io.ReadAll(client)
	}
	// The reset may arrive before Dial returns.
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
}

func TestApplyKeepsWhatDidNotChange(t *testing.T) {
	target := hostTCP(serve(t, echo))
	kept := Forward{"kept", hostTCP("127.0.0.1:0"), target}
	removed := Forward{"removed", hostTCP("127.0.0.1:0"), target}
	changed := Forward{"changed", hostTCP("127.0.0.1:0"), target}
	portal := open(t, kept, removed, changed)
	keptConn := connectTo(t, "tcp", addressOf(t, portal, "kept"))
	removedConn := connectTo(t, "tcp", addressOf(t, portal, "removed"))
	changedConn := connectTo(t, "tcp", addressOf(t, portal, "changed"))
	for _, conn := range []net.Conn{keptConn, removedConn, changedConn} {
		roundTrip(t, conn, "before")
	}
	keptAddress, removedAddress := addressOf(t, portal, "kept"), addressOf(t, portal, "removed")

	changed.Dial = hostTCP(serve(t, answerAtEnd))
	portal.Apply(Config{Revision: "2", Forwards: []Forward{kept, changed}})

	roundTrip(t, keptConn, "after")
	if got := addressOf(t, portal, "kept"); got != keptAddress {
		t.Fatalf("the listener was opened anew at %s", got)
	}
	for _, conn := range []net.Conn{removedConn, changedConn} {
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("got %v, want a reset", err)
		}
	}
	if conn, err := net.Dial("tcp", removedAddress); err == nil {
		conn.Close()
		t.Fatal("the removed forward still listens")
	}
	if portal.Status().Revision != "2" {
		t.Fatal("the status doesn't tell the revision")
	}
}

func TestForwardsMaySwapAddresses(t *testing.T) {
	front, back := filepath.Join(t.TempDir(), "1.sock"), filepath.Join(t.TempDir(), "2.sock")
	target := hostTCP(serve(t, echo))
	portal := open(t, Forward{"a", hostUnix(front), target}, Forward{"b", hostUnix(back), target})
	portal.Apply(Config{Forwards: []Forward{{"a", hostUnix(back), target}, {"b", hostUnix(front), target}}})
	for _, status := range portal.Status().Forwards {
		if !status.Listening {
			t.Fatal(status.Error)
		}
	}
}

func TestForwardsThatAreRefused(t *testing.T) {
	good := hostTCP("127.0.0.1:1")
	for _, test := range []struct {
		forward Forward
		message string
	}{
		{Forward{"a", hostTCP("0.0.0.0:0"), good}, "not a loopback address"},
		{Forward{"a", hostTCP("[::]:0"), good}, "not a loopback address"},
		{Forward{"a", hostTCP("192.0.2.1:80"), good}, "not a loopback address"},
		{Forward{"a", hostTCP("localhost:80"), good}, "not a literal IP address"},
		{Forward{"a", hostTCP("127.0.0.1"), good}, "not a literal IP address"},
		{Forward{"a", hostUnix("relative.sock"), good}, "not an absolute path"},
		{Forward{"a", Endpoint{"pod", "tcp", "127.0.0.1:1"}, good}, `neither "host" nor "node"`},
		{Forward{"a", Endpoint{Host, "udp", "127.0.0.1:1"}, good}, `neither "tcp" nor "unix"`},
		{Forward{"a", hostTCP("127.0.0.1:0"), hostTCP("10.0.0.1:0")}, "has port 0"},
	} {
		status := open(t, test.forward).Status().Forwards[0]
		if status.Listening || !strings.Contains(status.Error, test.message) {
			t.Errorf("%+v: got %+v, want %q", test.forward, status, test.message)
		}
	}
	if err := (Forward{"a", nodeTCP("0.0.0.0:80"), good}).check(); err != nil {
		t.Errorf("inside the node any address may be listened on, and yet: %v", err)
	}
	if err := (Forward{"a", hostTCP("[::1]:80"), good}).check(); err != nil {
		t.Errorf("::1 is loopback, and yet: %v", err)
	}
}

func TestReadConfigRefuses(t *testing.T) {
	for text, message := range map[string]string{
		`{"forwards":[{"name":"a"},{"name":"a"}]}`: `two forwards are named "a"`,
		`{"forwards":[{}]}`:                        "forwards[0] has no name",
		`{"forward":[]}`:                           "unknown field",
		`{"forwards":[]} {}`:                       "text after the JSON object",
		`{"forwards":`:                             "unexpected EOF",
	} {
		path := filepath.Join(t.TempDir(), "forwards.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(path); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: got %v, want %q", text, err, message)
		}
	}
}

// makeNamespace makes a network namespace whose loopback device is up. It lives as long as the test's process
// holds the file at the returned path.
func makeNamespace(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a network namespace is made")
	}
	var file *os.File
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		made <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(socket)
			request, err := unix.NewIfreq("lo")
			if err != nil {
				return err
			}
			request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
			if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
				return fmt.Errorf("bringing lo up: %w", err)
			}
			file, err = os.Open("/proc/thread-self/ns/net")
			return err
		}()
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd())
}

func TestAcrossNamespaces(t *testing.T) {
	node, err := enterNamespace(makeNamespace(t))
	if err != nil {
		t.Fatal(err)
	}
	var service net.Listener
	node.Do(func() { service, err = net.Listen("tcp4", "127.0.0.1:18081") })
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, service, answerAtEnd)
	registry := filepath.Join(t.TempDir(), "registry.sock")
	socket, err := net.Listen("unix", registry)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, socket, echo)

	portal := NewPortal(node)
	t.Cleanup(portal.Close)
	portal.Apply(Config{Forwards: []Forward{
		{"in", hostTCP("127.0.0.1:0"), nodeTCP("127.0.0.1:18081")},
		{"out", nodeTCP("127.0.0.1:15000"), hostUnix(registry)},
		{"in and out", hostTCP("127.0.0.1:0"), nodeTCP("127.0.0.1:15000")},
	}})

	if conn, err := net.Dial("tcp", "127.0.0.1:15000"); err == nil {
		conn.Close()
		t.Fatal("the node's listener is reachable on the host")
	}
	client := connectTo(t, "tcp", addressOf(t, portal, "in"))
	fmt.Fprint(client, "four")
	_ = client.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "got 4 bytes" {
		t.Fatalf("got %q, %v", answer, err)
	}
	addressOf(t, portal, "out")
	roundTrip(t, connectTo(t, "tcp", addressOf(t, portal, "in and out")), "host, node and host again")
}

func TestADeadAddressStallsNoOther(t *testing.T) {
	node, err := enterNamespace(makeNamespace(t))
	if err != nil {
		t.Fatal(err)
	}
	var full net.Listener
	node.Do(func() { full, err = listenWithFullBacklog("127.0.0.1:18082") })
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var service net.Listener
	node.Do(func() { service, err = net.Listen("tcp4", "127.0.0.1:18081") })
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, service, echo)
	portal := NewPortal(node)
	t.Cleanup(portal.Close)
	portal.Apply(Config{Forwards: []Forward{
		{"dead", hostTCP("127.0.0.1:0"), nodeTCP("127.0.0.1:18082")},
		{"alive", hostTCP("127.0.0.1:0"), nodeTCP("127.0.0.1:18081")},
	}})
	for range 300 {
		connectTo(t, "tcp", addressOf(t, portal, "dead"))
	}
	started := time.Now()
	roundTrip(t, connectTo(t, "tcp", addressOf(t, portal, "alive")), "alive")
	if took := time.Since(started); took > time.Second {
		t.Fatalf("it took %v", took)
	}
}

// listenWithFullBacklog listens with room for one connection and never accepts: Linux drops the SYNs of all
// that come after, as a dead route would.
func listenWithFullBacklog(address string) (net.Listener, error) {
	config := net.ListenConfig{}
	listener, err := config.Listen(context.Background(), "tcp4", address)
	if err != nil {
		return nil, err
	}
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		return nil, err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = unix.Listen(int(fd), 0) }); err != nil {
		return nil, err
	}
	return listener, result
}

func BenchmarkThroughput(b *testing.B) {
	sink, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	received := make(chan struct{})
	go func() {
		conn, err := sink.Accept()
		if err == nil {
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
		close(received)
	}()
	portal := NewPortal(hostNamespace())
	defer portal.Close()
	portal.Apply(Config{Forwards: []Forward{{"a", hostTCP("127.0.0.1:0"), hostTCP(sink.Addr().String())}}})
	client, err := net.Dial("tcp", portal.Status().Forwards[0].Address)
	if err != nil {
		b.Fatal(err)
	}
	block := make([]byte, 1<<20)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		if _, err := client.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	client.Close()
	<-received
}
