// Package keys knows who may call the gateway. It holds only the SHA-256 of each key: who reads the file cannot call.
//
// A fast hash is enough, since keys are random and long; it would not be for passwords.
package keys

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Scope is what a key allows.
type Scope string

// The scopes, as the keys file spells them.
const (
	ReadAccounts   Scope = "accounts:read"
	WriteAccounts  Scope = "accounts:write"
	ReadTransfers  Scope = "transfers:read"
	WriteTransfers Scope = "transfers:write"
	Audit          Scope = "audit:read"
)

var scopes = []Scope{ReadAccounts, WriteAccounts, ReadTransfers, WriteTransfers, Audit}

// Key is one caller.
type Key struct {
	// Name goes into logs and names the caller's limit.
	Name   string
	Scopes []Scope
	sum    [sha256.Size]byte
}

// Allows tells whether the key has the scope.
func (k Key) Allows(scope Scope) bool { return slices.Contains(k.Scopes, scope) }

// Ring is all keys that are valid now.
type Ring struct{ keys []Key }

var keyName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// Parse reads a keys file: a line for each key with its name, the SHA-256 of the key in hex, and its scopes with commas
// between. Empty lines and lines that start with # do not count. A name may stand on several lines, so that a caller can
// change from an old key to a new one. The error names every wrong line; it never repeats what could be a key.
func Parse(text string) (*Ring, error) {
	ring := &Ring{}
	var problems []error
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseLine(line)
		if err == nil && slices.ContainsFunc(ring.keys, func(other Key) bool { return other.sum == key.sum }) {
			err = errors.New("this key is there already")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		ring.keys = append(ring.keys, key)
	}
	if len(problems) == 0 && len(ring.keys) == 0 {
		problems = append(problems, errors.New("there is no key"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return ring, nil
}

func parseLine(line string) (Key, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return Key{}, fmt.Errorf("has %d fields, not 3: name, SHA-256, scopes", len(fields))
	}
	key := Key{Name: fields[0]}
	if !keyName.MatchString(key.Name) {
		return Key{}, errors.New("the name is not of a-z, 0-9 and -, at most 40 long")
	}
	sum, err := hex.DecodeString(fields[1])
	if err != nil || len(sum) != sha256.Size {
		return Key{}, fmt.Errorf("%s: the second field is not a SHA-256 in hex", key.Name)
	}
	copy(key.sum[:], sum)
	for _, name := range strings.Split(fields[2], ",") {
		if !slices.Contains(scopes, Scope(name)) {
			return Key{}, fmt.Errorf("%s: no scope %q; there are %v", key.Name, name, scopes)
		}
		key.Scopes = append(key.Scopes, Scope(name))
	}
	return key, nil
}

// Find gives the key that was presented, in a time that does not tell which keys come close.
func (r *Ring) Find(presented string) (Key, bool) {
	sum := sha256.Sum256([]byte(presented))
	found := -1
	for i := range r.keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], r.keys[i].sum[:]), i, found)
	}
	if found < 0 {
		return Key{}, false
	}
	return r.keys[found], true
}

// Len is the number of keys.
func (r *Ring) Len() int { return len(r.keys) }
