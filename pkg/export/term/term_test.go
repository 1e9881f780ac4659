// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

func output(t *testing.T, sink func(io.Writer) *Sink, journeys ...*journey.Journey) string {
	t.Helper()
	var b bytes.Buffer
	s := sink(&b)
	for _, j := range journeys {
		if err := s.Export(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func plain(w io.Writer) *Sink    { return NewText(w, false) }
func coloured(w io.Writer) *Sink { return NewText(w, true) }

func TestGolden(t *testing.T) {
	for _, n := range exporttest.Journeys() {
		t.Run(n.Name, func(t *testing.T) {
			exporttest.Golden(t, n.Name+".txt", output(t, plain, n.Journey))
			exporttest.Golden(t, n.Name+".json", output(t, NewJSON, n.Journey))
		})
	}
}

func TestColourChangesNothingElse(t *testing.T) {
	escape := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, n := range exporttest.Journeys() {
		want, got := output(t, plain, n.Journey), output(t, coloured, n.Journey)
		if escape.ReplaceAllString(got, "") != want {
			t.Errorf("%s: coloured text is\n%s", n.Name, got)
		}
	}
	drop := output(t, coloured, exporttest.NftDrop())
	for _, want := range []string{
		"\x1b[1;31mkfree_skb_reason\x1b[0m",
		"\x1b[1;31mDROPPED reason NETFILTER_DROP (core) in nf_hook_slow\x1b[0m",
	} {
		if !strings.Contains(drop, want) {
			t.Errorf("no red %q in\n%s", want, drop)
		}
	}
	if wait := output(t, coloured, exporttest.TCPWait()); !strings.Contains(wait, "\x1b[1;33m··· waited 1.20 ms between") {
		t.Errorf("the wait does not stand out:\n%s", wait)
	}
}

func TestTextCommandsNoTerminal(t *testing.T) {
	got := output(t, plain, exporttest.Hostile())
	if !utf8.ValidString(got) {
		t.Errorf("not UTF-8: %q", got)
	}
	for _, r := range got {
		if r != '\n' && (r < ' ' || r == 0x7f) {
			t.Errorf("control character %q in %q", r, got)
		}
	}
}

func TestDeepTreesStayReadable(t *testing.T) {
	j := exporttest.Ping()
	j.Hops = make([]journey.Hop, 100)
	for i := range j.Hops {
		j.Hops[i] = journey.Hop{Function: "f", Parent: i - 1, Depth: i}
	}
	for line := range strings.Lines(output(t, plain, j)) {
		if n := utf8.RuneCountInString(line); n > margin+2*maxIndent+40 {
			t.Errorf("a line has %d characters", n)
		}
	}
}

func TestBadIndicesDoNotPanic(t *testing.T) {
	j := exporttest.Ping()
	j.Hops[0].Parent, j.Hops[1].Parent, j.Hops[2].Parent = 5, 1, -7
	j.Waits[0].After = 999
	j.Drop = &journey.Drop{Hop: 999}
	for _, sink := range []func(io.Writer) *Sink{plain, NewJSON} {
		if got := output(t, sink, j); !strings.Contains(got, "icmp_rcv") {
			t.Errorf("got %s", got)
		}
	}
}

func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 1: "1 ns", 999: "999 ns", 1000: "1.00 µs", 1250: "1.25 µs", 12_500: "12.5 µs",
		125_000: "125 µs", 999_499: "999 µs", 999_999: "1.00 ms", 9_999: "10.0 µs", 99_999: "100 µs", 999_999_999: "1.00 s", time.Millisecond: "1.00 ms", 12_340 * time.Microsecond: "12.3 ms",
		3 * time.Second: "3.00 s", 61 * time.Second: "61.0 s", -5: "-5 ns", -2 * time.Millisecond: "-2.00 ms",
	} {
		if got := human(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}

// member describes a member of the JSON contract.
type member struct {
	kind     string // string, number, bool, object or array
	required bool
}

func contract() map[string]map[string]member {
	const must, may = true, false
	return map[string]map[string]member{
		"": {
			"trace_id": {"string", must}, "journey_id": {"string", must}, "parent_id": {"string", may},
			"lineage": {"string", may}, "start": {"string", must}, "duration_ns": {"number", must},
			"outcome": {"string", must}, "absorbed_by": {"string", may}, "incomplete": {"bool", must}, "missing": {"string", may},
			"drop": {"object", may}, "flow": {"object", must}, "process": {"object", may},
			"hops": {"array", must}, "waits": {"array", must},
		},
		"drop": {"reason": {"string", must}, "subsystem": {"string", must}, "function": {"string", must}, "advice": {"string", may}},
		"flow": {
			"network_type": {"string", may}, "transport": {"string", may}, "source": {"object", must},
			"destination": {"object", must}, "fragment": {"bool", may}, "vlan": {"number", may},
		},
		"source":      {"address": {"string", may}, "port": {"number", may}},
		"destination": {"address": {"string", may}, "port": {"number", may}},
		"process": {
			"pid": {"number", must}, "command": {"string", must}, "container": {"string", may}, "pod_uid": {"string", may},
		},
		"hops": {
			"function": {"string", must}, "caller": {"string", may}, "via": {"string", may}, "offset_ns": {"number", must},
			"duration_ns": {"number", must}, "exact": {"bool", may}, "depth": {"number", must}, "cpu": {"number", must},
			"interface": {"string", may}, "netns": {"number", may}, "netns_name": {"string", may},
			"length": {"number", may}, "mark": {"number", may},
		},
		"waits": {
			"from": {"string", must}, "to": {"string", must}, "offset_ns": {"number", must}, "duration_ns": {"number", must},
		},
	}
}

func checkContract(t *testing.T, where string, object map[string]any) {
	t.Helper()
	members := contract()[where]
	for name, m := range members {
		if _, ok := object[name]; m.required && !ok {
			t.Errorf("%q has no %s", where, name)
		}
	}
	for name, value := range object {
		var kind string
		switch v := value.(type) {
		case string:
			kind = "string"
		case json.Number:
			kind = "number"
		case bool:
			kind = "bool"
		case map[string]any:
			kind = "object"
			checkContract(t, name, v)
		case []any:
			kind = "array"
			for _, element := range v {
				checkContract(t, name, element.(map[string]any))
			}
		}
		if want := members[name].kind; kind != want {
			t.Errorf("%q: %s is a %q, want %q", where, name, kind, want)
		}
	}
}

func TestJSONKeepsTheContract(t *testing.T) {
	for _, n := range exporttest.Journeys() {
		t.Run(n.Name, func(t *testing.T) {
			got := output(t, NewJSON, n.Journey)
			if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
				t.Errorf("not one line: %q", got)
			}
			d := json.NewDecoder(strings.NewReader(got))
			d.UseNumber()
			var object map[string]any
			if err := d.Decode(&object); err != nil {
				t.Fatal(err)
			}
			checkContract(t, "", object)
			start, err := time.Parse(time.RFC3339Nano, object["start"].(string))
			if err != nil || !start.Equal(n.Journey.Start) {
				t.Errorf("start %v: %v", object["start"], err)
			}
			if hops := object["hops"].([]any); len(hops) > 0 {
				first := hops[0].(map[string]any)
				for _, name := range []string{"interface", "netns", "length", "mark"} {
					if _, ok := first[name]; !ok {
						t.Errorf("the first hop has no %s", name)
					}
				}
			}
		})
	}
}

// TestJSONRestoresEveryHop carries the elided members forward, as a reader must.
func TestJSONRestoresEveryHop(t *testing.T) {
	for _, n := range exporttest.Journeys() {
		var got struct{ Hops []hop }
		if err := json.Unmarshal([]byte(output(t, NewJSON, n.Journey)), &got); err != nil {
			t.Fatal(err)
		}
		var device string
		var netns, length, mark uint32
		for i, h := range got.Hops {
			if h.Interface != nil {
				device = *h.Interface
			}
			for from, to := range map[*uint32]*uint32{h.Netns: &netns, h.Length: &length, h.Mark: &mark} {
				if from != nil {
					*to = *from
				}
			}
			want := n.Journey.Hops[i]
			if device != strings.ToValidUTF8(want.Interface, "\uFFFD") || netns != want.Netns || length != want.Length || mark != want.Mark {
				t.Errorf("%s: hop %d is %q %d %d %d, want %+v", n.Name, i, device, netns, length, mark, want)
			}
		}
	}
}

func TestBrokenPipeIsAnError(t *testing.T) {
	for _, sink := range []func(io.Writer) *Sink{plain, NewJSON} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		s := sink(w)
		for range 2 {
			if err := s.Export(t.Context(), exporttest.Ping()); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("Export returned %v", err)
			}
		}
		w.Close()
	}
}

func TestJourneyIsWrittenAtOnce(t *testing.T) {
	var b bytes.Buffer
	for _, s := range []*Sink{plain(&b), NewJSON(&b)} {
		b.Reset()
		if err := s.Export(t.Context(), exporttest.Ping()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "icmp_rcv") {
			t.Error("the journey waits in the buffer")
		}
	}
}

func TestColourNeedsATerminal(t *testing.T) {
	f, err := os.Open(os.DevNull) // a character device, yet no terminal
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Colour(f, func(string) string { return "" }) {
		t.Error("/dev/null wants colour")
	}
	// The pseudo-terminal multiplexer answers as a terminal does.
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to test with: %v", err)
	}
	defer terminal.Close()
	if !Colour(terminal, func(string) string { return "" }) {
		t.Error("a terminal wants no colour")
	}
	for _, off := range []string{"NO_COLOR=1", "TERM=dumb"} {
		name, value, _ := strings.Cut(off, "=")
		if Colour(terminal, environment(name, value)) {
			t.Errorf("colour despite %s", off)
		}
	}
}

func environment(name, value string) func(string) string {
	return func(asked string) string {
		if asked == name {
			return value
		}
		return ""
	}
}

func BenchmarkText(b *testing.B) { benchmark(b, plain) }
func BenchmarkJSON(b *testing.B) { benchmark(b, NewJSON) }

func benchmark(b *testing.B, sink func(io.Writer) *Sink) {
	s := sink(io.Discard)
	j := exporttest.Long(60, 60)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Export(b.Context(), j); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStartHasAllDigits(t *testing.T) {
	j := exporttest.Bare()
	j.Start = time.Date(2026, 11, 3, 9, 30, 15, 500_000_000, time.UTC)
	if got := output(t, NewJSON, j); !strings.Contains(got, `"start":"2026-11-03T09:30:15.500000000Z"`) {
		t.Errorf("got %s", got)
	}
}
