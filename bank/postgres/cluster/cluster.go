// Package cluster looks after one PostgreSQL data folder: makes it once, starts the server on it, and stops it in order.
package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options of a cluster.
type Options struct {
	// Binaries is the folder of `initdb` and `postgres`.
	Binaries string
	// Data is the folder of the data; its parent must exist and belong to this process's user.
	Data string
	// Sockets is the folder of the Unix socket, where the superuser is let in, as the system's user `postgres` alone.
	Sockets string
	// Host and Port are where sessions are taken.
	Host string
	Port int
	// Role is the name of the one role that may come over the network, and of its database.
	Role string
	// Password is the role's.
	Password string
	Log      *slog.Logger
}

// The superuser has no password, so nobody can be him over the network. The role sees its own database alone.
func hostBasedAuthentication(role string) string {
	name := quoted(role)
	return "local all postgres peer\nlocal " + name + " " + name + " scram-sha-256\nhost " + name + " " + name + " all scram-sha-256\n"
}

// quoted is a name that is no keyword: of SQL, or in pg_hba.conf.
func quoted(name string) string { return `"` + name + `"` }

// What can be quoted as it is.
var roleForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// For a bank on a laptop. A real one has a real database administrator.
var settings = []string{
	"shared_buffers=32MB",
	"max_connections=50",
	"max_wal_size=256MB",
	"jit=off", // its compiler is not in the image
	"timezone=UTC",
	"log_timezone=UTC",
	"log_line_prefix=",
	"log_destination=stderr",
	"logging_collector=off",
}

// Prepare makes the data folder if there is none, and sets the role's password. Killed at any point, it begins again.
func Prepare(ctx context.Context, options Options) error {
	if !roleForm.MatchString(options.Role) || options.Role == "postgres" {
		return fmt.Errorf("%q can't be the name of the role: at most 63 small letters, digits and _", options.Role)
	}
	if strings.ContainsAny(options.Password, "\n\r\x00") || options.Password == "" {
		return errors.New("the role's password must be one line and not empty")
	}
	_, err := os.Stat(options.Data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := create(ctx, options); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("cannot look at the data folder: %w", err)
	}
	if err := checkVersion(ctx, options); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(options.Data, "pg_hba.conf"), []byte(hostBasedAuthentication(options.Role)), 0o600); err != nil {
		return err
	}
	return singleUser(ctx, options, options.Data, "postgres", []string{"ALTER ROLE " + quoted(options.Role) + " PASSWORD " + literal(options.Password)})
}

// create makes the folder beside its place and moves it there when it is whole: a folder at its place is a good one.
func create(ctx context.Context, options Options) error {
	unfinished := options.Data + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	options.Log.Info("making the data folder", "path", options.Data)
	initdb := exec.CommandContext(ctx, filepath.Join(options.Binaries, "initdb"),
		"--pgdata="+unfinished, "--username=postgres", "--auth-local=peer", "--auth-host=reject",
		"--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums")
	if err := run(initdb, nil, options.Log); err != nil {
		return err
	}
	err := singleUser(ctx, options, unfinished, "postgres", []string{
		"CREATE ROLE " + quoted(options.Role) + " LOGIN",
		"CREATE DATABASE " + quoted(options.Role) + " OWNER " + quoted(options.Role),
		"REVOKE ALL ON DATABASE " + quoted(options.Role) + " FROM PUBLIC",
	})
	if err != nil {
		return err
	}
	if err := os.Rename(unfinished, options.Data); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(options.Data))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

var majorVersion = regexp.MustCompile(`\(PostgreSQL\) ([0-9]+)`)

// A server of another major version would refuse the folder too, but without saying what to do.
func checkVersion(ctx context.Context, options Options) error {
	text, err := os.ReadFile(filepath.Join(options.Data, "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("%s is there but is not a data folder of PostgreSQL: %w", options.Data, err)
	}
	output, err := exec.CommandContext(ctx, filepath.Join(options.Binaries, "postgres"), "--version").Output()
	if err != nil {
		return fmt.Errorf("cannot ask the server's version: %w", err)
	}
	found := majorVersion.FindSubmatch(output)
	if found == nil {
		return fmt.Errorf("cannot read the server's version from %q", output)
	}
	if made := string(bytes.TrimSpace(text)); made != string(found[1]) {
		return fmt.Errorf("the data was made by PostgreSQL %s, and this is %s: upgrade it with pg_upgrade first", made, found[1])
	}
	return nil
}

// singleUser runs statements without a server, as the superuser, and stops at the first that fails.
func singleUser(ctx context.Context, options Options, data, database string, statements []string) error {
	command := exec.CommandContext(ctx, filepath.Join(options.Binaries, "postgres"), "--single", "-D", data,
		// A statement that fails must not put the password into the log.
		"-c", "log_min_error_statement=panic", "-c", "exit_on_error=on", "-c", "log_line_prefix=", database)
	command.Stdout = io.Discard // prompts
	if err := run(command, strings.NewReader(strings.Join(statements, ";\n")+";\n"), options.Log); err != nil {
		return fmt.Errorf("cannot set up the database: %w", err)
	}
	return nil
}

func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// run runs a program to its end with its output in the log.
func run(command *exec.Cmd, input io.Reader, log *slog.Logger) error {
	command.Stdin = input
	lines := &lineLogger{log: log}
	command.Stderr = lines
	if command.Stdout == nil {
		command.Stdout = lines
	}
	err := command.Run()
	lines.flush()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(command.Path), err, lines.last)
	}
	return nil
}

// Serve runs the server until ctx is done, and then ends its sessions and stops it ("fast" shutdown): what was committed
// is on disk. An error is a server that ended by itself or did not stop in time.
func Serve(ctx context.Context, options Options, patience time.Duration) error {
	arguments := []string{"-D", options.Data, "-c", "listen_addresses=" + options.Host, "-c", "port=" + strconv.Itoa(options.Port),
		"-c", "unix_socket_directories=" + options.Sockets}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	command := exec.Command(filepath.Join(options.Binaries, "postgres"), arguments...)
	lines := &lineLogger{log: options.Log}
	command.Stdout, command.Stderr = lines, lines
	if err := command.Start(); err != nil {
		return fmt.Errorf("cannot start the server: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err := <-ended:
		lines.flush()
		if err == nil {
			err = errors.New("exit status 0")
		}
		return fmt.Errorf("the server ended by itself: %w: %s", err, lines.last)
	case <-ctx.Done():
	}
	options.Log.Info("stopping the server")
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		options.Log.Warn("cannot signal the server", "error", err.Error())
	}
	select {
	case err := <-ended:
		lines.flush()
		if err != nil {
			return fmt.Errorf("the server stopped badly: %w", err)
		}
		return nil
	case <-time.After(patience):
		// "Immediate" shutdown: what was committed is safe, and the next start recovers it from the log.
		_ = command.Process.Signal(syscall.SIGQUIT)
		<-ended
		return fmt.Errorf("the server did not stop within %s and was told to at once", patience)
	}
}

var severity = regexp.MustCompile(`^(DEBUG[1-5]|INFO|NOTICE|LOG|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT|CONTEXT):\s+`)

// lineLogger puts each line of PostgreSQL's into the log as it comes.
type lineLogger struct {
	log  *slog.Logger
	part []byte
	last string
}

// Write takes whole and part lines. The exec package calls it from one goroutine.
func (l *lineLogger) Write(text []byte) (int, error) {
	l.part = append(l.part, text...)
	for {
		advance, line, _ := bufio.ScanLines(l.part, false)
		if advance == 0 {
			if len(l.part) > 64<<10 { // no line of PostgreSQL's is; memory stays bounded all the same
				l.flush()
			}
			return len(text), nil
		}
		l.line(string(line))
		l.part = l.part[advance:]
	}
}

func (l *lineLogger) flush() {
	if len(l.part) > 0 {
		l.line(string(l.part))
		l.part = nil
	}
}

func (l *lineLogger) line(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	level := slog.LevelInfo
	if found := severity.FindStringSubmatch(line); found != nil {
		switch found[1] {
		case "WARNING":
			level = slog.LevelWarn
		case "ERROR", "FATAL", "PANIC":
			level = slog.LevelError
		}
	}
	l.last = line
	l.log.Log(context.Background(), level, line, "from", "postgres")
}
