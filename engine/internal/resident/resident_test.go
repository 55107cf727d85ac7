package resident

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

const example = `00400000-00401000 r--p 00000000 fe:00 1 /bin/engine
00401000-00500000 r-xp 00001000 fe:00 1 /bin/engine
00500000-00510000 rw-p 00100000 fe:00 1 /bin/engine
7f0000000000-7f0000001000 r-xp 00000000 fe:00 2 /lib/other.so
7ffe00000000-7ffe00001000 r-xp 00000000 00:00 0 [vdso]
c000000000-c000400000 rw-p 00000000 00:00 0
`

func TestOnlyWhatTheFileHoldsAsItIs(t *testing.T) {
	got := readOnlySpans(strings.NewReader(example), "/bin/engine")
	want := []span{{0x400000, 0x401000}, {0x401000, 0x500000}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %x, want %x", got, want)
	}
}

func TestTheProgramGoesOnAfterwards(t *testing.T) {
	release()
	if _, err := os.ReadFile("/proc/self/maps"); err != nil {
		t.Fatal(err)
	}
	if got := strings.ToUpper("still here"); got != "STILL HERE" {
		t.Fatalf("got %q", got)
	}
}
