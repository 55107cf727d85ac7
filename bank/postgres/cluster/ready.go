package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Protocol version 3.0, PostgreSQL's manual, "Message Formats", StartupMessage.
const protocolVersion = 3 << 16

// Ready asks the server to begin a session, and is nil when the server would. It is what `pg_isready` does, without a
// program to start. The session is broken off when the server asks for the password, which it does not log.
func Ready(ctx context.Context, options Options) error {
	path := filepath.Join(options.Sockets, ".s.PGSQL."+strconv.Itoa(options.Port))
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
			return errors.New("the server is not up")
		}
		return err
	}
	defer connection.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = connection.SetDeadline(deadline)
	} else {
		_ = connection.SetDeadline(time.Now().Add(time.Second))
	}
	if _, err := connection.Write(startupMessage(options.Role, options.Role)); err != nil {
		return err
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(connection, head); err != nil {
		return fmt.Errorf("the server hung up: %w", err)
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > 8<<10 {
		return fmt.Errorf("the server answers nonsense: a message of %d bytes", length)
	}
	body := make([]byte, length-4)
	if _, err := io.ReadFull(connection, body); err != nil {
		return fmt.Errorf("the server hung up: %w", err)
	}
	switch head[0] {
	case 'R': // asks for authentication
		return nil
	case 'E':
		fields := errorFields(body)
		// 57P03: starting up, recovering or stopping; 53300: all connections are in use. Any other refusal, such as
		// that of this very session, comes from a server that is up.
		if fields['C'] == "57P03" || fields['C'] == "53300" {
			return errors.New(fields['M'])
		}
		return nil
	}
	return fmt.Errorf("the server answers nonsense: a message of type %q", head[0])
}

func startupMessage(user, database string) []byte {
	body := binary.BigEndian.AppendUint32(nil, protocolVersion)
	for _, text := range []string{"user", user, "database", database} {
		body = append(append(body, text...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

func errorFields(body []byte) map[byte]string {
	fields := map[byte]string{}
	for _, field := range strings.Split(string(body), "\x00") {
		if field != "" {
			fields[field[0]] = field[1:]
		}
	}
	return fields
}
