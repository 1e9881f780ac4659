// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// TestSeries: docs/limits.md has these.
func TestSeries(t *testing.T) {
	spec, err := loadPacketPath()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{packetPathMapDrops: 8192, packetPathMapWaitCounts: 1024} {
		if got := spec.Maps[name].MaxEntries; got != want {
			t.Errorf("%s has room for %d, want %d", name, got, want)
		}
	}
}

// TestSeriesBounds: with room for one kind of drops and one of waits, the others
// are counted as lost.
func TestSeriesBounds(t *testing.T) {
	if os.Getenv("SKBPATH_LOAD_EBPF") == "" {
		t.Skip("SKIPPED here, run in a VM by test/kernels: it loads eBPF (SKBPATH_LOAD_EBPF=1 runs it)")
	}
	p := opened(t, &Options{series: 1})
	drops, waits := journey.Loss{What: "drop", Cause: "series_limit"}, journey.Loss{What: "wait", Cause: "series_limit"}
	sendToNobody(t)
	sendToSomebody(t)
	for end := time.Now().Add(10 * time.Second); p.lost(drops) == 0 || p.lost(waits) == 0; {
		if time.Now().After(end) {
			t.Fatalf("%d drops and %d waits counted as lost", p.lost(drops), p.lost(waits))
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d drops and %d waits counted as lost", p.lost(drops), p.lost(waits))
	if counted, err := p.Drops(); err != nil || len(counted) != 1 {
		t.Errorf("%v, %v; want one kind of drops", counted, err)
	}
	if counted, err := p.Waits(); err != nil || len(counted) != 1 {
		t.Errorf("%v, %v; want one kind of waits", counted, err)
	}
}

// warnings fails a test: here nothing is to be done without, the fast path for one.
type warnings struct {
	slog.Handler
	t *testing.T
}

func (w warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (w warnings) Handle(_ context.Context, r slog.Record) error {
	w.t.Error(r.Message)
	return nil
}

// opened completes the options and opens a probe by functions.
func opened(t *testing.T, o *Options) *Probe {
	t.Helper()
	o.Source, o.Backend, o.Log = SourceFunctions, BackendAuto, slog.New(warnings{slog.DiscardHandler, t})
	o.KeepAll, o.Capture, o.MaxHops, o.Timeout = true, 1, 1024, time.Minute
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *Probe) lost(l journey.Loss) uint64 {
	for _, other := range p.Losses() {
		if other.What == l.What && other.Cause == l.Cause {
			return other.Count
		}
	}
	return 0
}

// sendToNobody: one packet is dropped where UDP looks for a socket, one where TCP does.
func sendToNobody(t *testing.T) {
	t.Helper()
	datagrams, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	if _, err := datagrams.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	if stream, err := net.Dial("tcp", "127.0.0.1:9"); err == nil {
		stream.Close()
		t.Fatal("somebody listens on port 9")
	}
}

// sendToSomebody: the packet waits in the backlog, then in the socket.
func sendToSomebody(t *testing.T) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.Dial("udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.ReadFrom(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}
