package cluster_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bank/postgres/cluster"
)

// programs are stand-ins for PostgreSQL's: they note how they are called, and do what matters of it.
func programs(t *testing.T) (cluster.Options, *bytes.Buffer, func() string) {
	t.Helper()
	folder := t.TempDir()
	notes := filepath.Join(folder, "notes")
	write := func(name, script string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\nNOTES='"+notes+"'\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("initdb", `
echo "initdb $*" >> "$NOTES"
for a; do case "$a" in --pgdata=*) data="${a#--pgdata=}";; esac; done
mkdir "$data" && echo 15 > "$data/PG_VERSION"
[ -z "$FAIL_INITDB" ] || { echo "initdb: error: no room" >&2; exit 1; }
`)
	write("postgres", `
case "$1" in
--version) echo "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"; exit;;
--single) echo "single $3" >> "$NOTES"; cat >> "$NOTES"; exit ${FAIL_SINGLE:-0};;
esac
echo "serve $*" >> "$NOTES"
[ -z "$FAIL_SERVE" ] || { echo "FATAL:  could not open lock file" >&2; exit 3; }
trap 'echo "SIGINT" >> "$NOTES"; exit 0' INT
echo "LOG:  database system is ready to accept connections" >&2
while :; do sleep 0.02; done
`)
	log := &bytes.Buffer{}
	options := cluster.Options{
		Binaries: folder, Data: filepath.Join(t.TempDir(), "cluster"), Sockets: folder, Host: "127.0.0.1", Port: 5432,
		Role: "ledger", Password: `it's a \ secret`, Log: slog.New(slog.NewJSONHandler(log, nil)),
	}
	return options, log, func() string {
		text, _ := os.ReadFile(notes)
		os.Remove(notes)
		return string(text)
	}
}

func TestMakesTheDataFolderOnceAndSetsThePasswordEachTime(t *testing.T) {
	options, log, notes := programs(t)
	if err := cluster.Prepare(context.Background(), options); err != nil {
		t.Fatal(err)
	}
	first := notes()
	for _, want := range []string{
		"initdb --pgdata=" + options.Data + ".unfinished", "--data-checksums",
		"CREATE ROLE \"ledger\" LOGIN;\nCREATE DATABASE \"ledger\" OWNER \"ledger\";\n",
		"single " + options.Data + "\nALTER ROLE \"ledger\" PASSWORD E'it''s a \\\\ secret';\n",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("did not do %q:\n%s", want, first)
		}
	}
	authentication, _ := os.ReadFile(filepath.Join(options.Data, "pg_hba.conf"))
	if !strings.Contains(string(authentication), `host "ledger" "ledger" all scram-sha-256`) || strings.Contains(string(authentication), "trust") {
		t.Errorf("pg_hba.conf: %s", authentication)
	}
	if strings.Contains(log.String(), "secret") {
		t.Error("the password is in the log")
	}
	if err := cluster.Prepare(context.Background(), options); err != nil {
		t.Fatal(err)
	}
	if second := notes(); strings.Contains(second, "initdb") || strings.Contains(second, "CREATE") || !strings.Contains(second, "ALTER ROLE \"ledger\"") {
		t.Errorf("the second time:\n%s", second)
	}
}

func TestAnUnfinishedFolderIsMadeAnew(t *testing.T) {
	options, _, notes := programs(t)
	t.Setenv("FAIL_INITDB", "1")
	err := cluster.Prepare(context.Background(), options)
	if err == nil || !strings.Contains(err.Error(), "no room") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(options.Data); !os.IsNotExist(err) {
		t.Fatalf("a folder that is not whole is at its place: %v", err)
	}
	t.Setenv("FAIL_INITDB", "")
	t.Setenv("FAIL_SINGLE", "1")
	if err := cluster.Prepare(context.Background(), options); err == nil {
		t.Fatal("no error though the database could not be made")
	}
	if _, err := os.Stat(options.Data); !os.IsNotExist(err) {
		t.Fatalf("a folder without the ledger's database is at its place: %v", err)
	}
	t.Setenv("FAIL_SINGLE", "")
	notes()
	if err := cluster.Prepare(context.Background(), options); err != nil {
		t.Fatal(err)
	}
}

func TestRefusesWhatItCannotServe(t *testing.T) {
	options, _, _ := programs(t)
	for _, password := range []string{"", "a\nb"} {
		wrong := options
		wrong.Password = password
		if err := cluster.Prepare(context.Background(), wrong); err == nil {
			t.Errorf("took the password %q", password)
		}
	}
	for _, role := range []string{"", "postgres", "a b", `a"; DROP ROLE b`, "a\nhost all all all trust"} {
		wrong := options
		wrong.Role = role
		if err := cluster.Prepare(context.Background(), wrong); err == nil {
			t.Errorf("took the role %q", role)
		}
	}
	if err := os.Mkdir(options.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Prepare(context.Background(), options); err == nil || !strings.Contains(err.Error(), "not a data folder") {
		t.Errorf("got %v", err)
	}
	os.WriteFile(filepath.Join(options.Data, "PG_VERSION"), []byte("14\n"), 0o600)
	if err := cluster.Prepare(context.Background(), options); err == nil || !strings.Contains(err.Error(), "made by PostgreSQL 14, and this is 15") {
		t.Errorf("got %v", err)
	}
}

func TestServesUntilToldToStopAndStopsInOrder(t *testing.T) {
	options, log, notes := programs(t)
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(300*time.Millisecond, stop)
	if err := cluster.Serve(ctx, options, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	done := notes()
	if !strings.Contains(done, "listen_addresses=127.0.0.1") || !strings.HasSuffix(done, "SIGINT\n") {
		t.Errorf("did:\n%s", done)
	}
	if !strings.Contains(log.String(), "ready to accept connections") {
		t.Errorf("the server's line is not in the log:\n%s", log)
	}
}

func TestAServerThatEndsByItselfIsAnErrorWithItsLastWords(t *testing.T) {
	options, log, _ := programs(t)
	t.Setenv("FAIL_SERVE", "1")
	err := cluster.Serve(context.Background(), options, time.Second)
	if err == nil || !strings.Contains(err.Error(), "could not open lock file") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(log.String(), `"level":"ERROR"`) {
		t.Errorf("FATAL is not an error in the log:\n%s", log)
	}
}
