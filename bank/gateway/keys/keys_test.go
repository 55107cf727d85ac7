package keys_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bank/gateway/keys"
)

func line(name, key, scopes string) string {
	sum := sha256.Sum256([]byte(key))
	return name + " " + hex.EncodeToString(sum[:]) + " " + scopes + "\n"
}

func TestFindsAKeyByItsSumAlone(t *testing.T) {
	ring, err := keys.Parse("# callers\n\n" + line("shop", "s3cret", "accounts:read,transfers:write") + line("shop", "newer", "accounts:read") + line("audit", "other", "audit:read"))
	if err != nil {
		t.Fatal(err)
	}
	key, ok := ring.Find("s3cret")
	if !ok || key.Name != "shop" || !key.Allows(keys.WriteTransfers) || key.Allows(keys.WriteAccounts) {
		t.Errorf("got %+v, %t", key, ok)
	}
	if key, ok := ring.Find("other"); !ok || key.Name != "audit" {
		t.Errorf("got %+v, %t", key, ok)
	}
	sum := sha256.Sum256([]byte("s3cret"))
	for _, wrong := range []string{"", "s3cre", "s3crett", "S3CRET", hex.EncodeToString(sum[:])} {
		if key, ok := ring.Find(wrong); ok {
			t.Errorf("%q is let in as %s", wrong, key.Name)
		}
	}
}

func TestAWrongFileIsRefusedLineByLine(t *testing.T) {
	good := line("shop", "x", "accounts:read")
	for text, want := range map[string]string{
		"":                               "no key",
		"# only\n":                       "no key",
		"shop abc accounts:read":         "line 1: shop: the second field",
		"SHOP " + good[5:]:               "line 1: the name",
		good + "shop":                    "line 2: has 1 fields",
		good + good:                      "line 2: this key is there already",
		line("shop", "x", "all"):         `no scope "all"`,
		line("shop", "x", "audit:read,"): `no scope ""`,
	} {
		if _, err := keys.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestAChangedFileCountsAndAWrongOneDoesNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keys.Open(path); err == nil {
		t.Fatal("opened what is not there")
	}
	write(line("old", "old", "accounts:read"))
	file, err := keys.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		file.Watch(ctx, time.Millisecond, slog.New(slog.NewTextHandler(io.Discard, nil)))
	}()
	defer func() { stop(); <-ended }()

	write(line("new", "new", "accounts:read"))
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, ok := file.Ring().Find("new"); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the new key never counted")
		}
	}
	if _, ok := file.Ring().Find("old"); ok {
		t.Error("the key that was taken back is valid still")
	}
	write("nonsense")
	time.Sleep(50 * time.Millisecond)
	if _, ok := file.Ring().Find("new"); !ok {
		t.Error("a wrong file locked the callers out")
	}
}
