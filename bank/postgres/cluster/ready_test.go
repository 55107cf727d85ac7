package cluster_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bank/postgres/cluster"
)

// server answers each session with the same bytes, as PostgreSQL's protocol has them, and tells what it was sent.
func server(t *testing.T, answer []byte) (cluster.Options, chan []byte) {
	t.Helper()
	folder, err := os.MkdirTemp("", "pg") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	listener, err := net.Listen("unix", filepath.Join(folder, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	sent := make(chan []byte, 8)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			head := make([]byte, 4)
			io.ReadFull(connection, head)
			body := make([]byte, binary.BigEndian.Uint32(head)-4)
			io.ReadFull(connection, body)
			sent <- body
			connection.Write(answer)
			connection.Close()
		}
	}()
	return cluster.Options{Role: "ledger", Sockets: folder, Port: 5432}, sent
}

func message(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

func ready(options cluster.Options) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return cluster.Ready(ctx, options)
}

func TestAServerThatAsksWhoIsThereIsReady(t *testing.T) {
	options, sent := server(t, message('R', "\x00\x00\x00\x0a"))
	if err := ready(options); err != nil {
		t.Error(err)
	}
	if got := string(<-sent); got != "\x00\x03\x00\x00user\x00ledger\x00database\x00ledger\x00\x00" {
		t.Errorf("sent %q", got)
	}
}

func TestAServerThatRefusesThisSessionIsReady(t *testing.T) {
	options, _ := server(t, message('E', "SFATAL\x00C28000\x00Mno pg_hba.conf entry\x00\x00"))
	if err := ready(options); err != nil {
		t.Error(err)
	}
}

func TestAServerThatIsNotReadySaysWhy(t *testing.T) {
	for answer, want := range map[string]string{
		string(message('E', "SFATAL\x00C57P03\x00Mthe database system is starting up\x00\x00")): "starting up",
		string(message('E', "SFATAL\x00C53300\x00Msorry, too many clients already\x00\x00")):    "too many clients",
		"":                        "hung up",
		"R\x00\x00":               "hung up",
		"HTTP/1.1 400 Bad\r\n":    "nonsense",
		string(message('Z', "I")): "nonsense",
	} {
		options, _ := server(t, []byte(answer))
		if err := ready(options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", answer, err, want)
		}
	}
	if err := ready(cluster.Options{Role: "ledger", Sockets: t.TempDir(), Port: 1}); err == nil || !strings.Contains(err.Error(), "not up") {
		t.Errorf("without a server: %v", err)
	}
}
