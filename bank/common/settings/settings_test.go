package settings_test

import (
	"strings"
	"testing"
	"time"

	"bank/common/settings"
)

func reader(values map[string]string) *settings.Reader {
	return settings.NewReader(func(name string) (string, bool) {
		value, set := values[name]
		return value, set
	})
}

func TestReadsWellFormedValuesAndDefaults(t *testing.T) {
	r := reader(map[string]string{"U": "http://ledger:8080/", "D": "1.5s", "I": "7", "A": "127.0.0.1:80", "T": "x"})
	if got := r.URL("U").String(); got != "http://ledger:8080" {
		t.Errorf("URL %q", got)
	}
	if got := r.Duration("D", time.Second, 0, time.Minute); got != 1500*time.Millisecond {
		t.Errorf("duration %s", got)
	}
	if got := r.Duration("none", time.Second, 0, time.Minute); got != time.Second {
		t.Errorf("default duration %s", got)
	}
	if got := r.Integer("I", 1, 0, 10); got != 7 {
		t.Errorf("integer %d", got)
	}
	if got := r.Address("A", ":1"); got != "127.0.0.1:80" {
		t.Errorf("address %q", got)
	}
	if got := r.Text("T") + r.TextOr("none", "y"); got != "xy" {
		t.Errorf("text %q", got)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

func TestNamesEverythingThatIsWrong(t *testing.T) {
	r := reader(map[string]string{
		"SCHEME": "ftp://x", "PATH": "http://x/y", "PASSWORD": "http://u:p@x",
		"DURATION": "5", "LONG": "2h", "INTEGER": "1.5", "BIG": "11", "ADDRESS": "here", "PORT": "x:70000",
	})
	r.URL("SCHEME")
	r.URL("PATH")
	r.URL("PASSWORD")
	r.URL("NO_URL")
	r.Text("NO_TEXT")
	r.Duration("DURATION", 0, 0, time.Minute)
	r.Duration("LONG", 0, 0, time.Minute)
	r.Integer("INTEGER", 0, 0, 10)
	r.Integer("BIG", 0, 0, 10)
	r.Address("ADDRESS", ":1")
	r.Address("PORT", ":1")
	err := r.Err()
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"SCHEME", "PATH", "PASSWORD", "NO_URL", "NO_TEXT", "DURATION", "LONG", "INTEGER", "BIG", "ADDRESS", "PORT"} {
		if !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s is not named in:\n%s", name, err)
		}
	}
}
