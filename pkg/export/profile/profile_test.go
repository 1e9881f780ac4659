// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// lines writes each stack as "outermost > innermost packets ns", sorted.
func lines(p *profile.Profile) []string {
	var all []string
	for _, s := range p.Sample {
		var names []string
		for _, l := range s.Location {
			names = append(names, l.Line[0].Function.Name)
		}
		slices.Reverse(names)
		all = append(all, fmt.Sprintf("%s %d %d", strings.Join(names, " > "), s.Value[0], s.Value[1]))
	}
	slices.Sort(all)
	return all
}

func TestSelfTimes(t *testing.T) {
	var tree tree
	for range 2 {
		tree.add(exporttest.Ping())
	}
	tree.add(exporttest.NftDrop())
	p := tree.pprof(time.Now(), time.Second)
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	const out = "ip_send_skb > ip_output > ip_finish_output2 > dev_hard_start_xmit"
	want := []string{
		"ip_send_skb 2 600", // 9800 - 600 - 8900, twice
		"ip_send_skb > __ip_local_out 2 1200",
		"ip_send_skb > ip_output 2 1200",
		"ip_send_skb > ip_output > ip_finish_output2 2 2800",
		out + " 2 12000",
		out + " > enqueue_to_backlog 2 1800",
		"__netif_receive_skb 2 1200",
		"__netif_receive_skb > ip_rcv 2 4800",
		"__netif_receive_skb > ip_rcv > icmp_rcv 2 12200",
		"ip_rcv 1 800",
		"ip_rcv > nf_hook_slow 1 4300",
		"ip_rcv > nf_hook_slow > kfree_skb_reason 1 300",
		"wait: enqueue_to_backlog → __netif_receive_skb 2 32200",
	}
	slices.Sort(want)
	if got := lines(p); !slices.Equal(got, want) {
		t.Errorf("stacks are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(p.Comments, []string{"3 journeys"}) {
		t.Errorf("comments %q", p.Comments)
	}
}

// TestOddJourneys: overlapping hops, bad parents, nothing at all.
func TestOddJourneys(t *testing.T) {
	var tree tree
	bad := exporttest.Ping()
	bad.Hops[0].Parent, bad.Hops[1].Parent, bad.Hops[2].Parent = 5, 1, -7
	for _, j := range []*journey.Journey{bad, exporttest.ZeroDurations(), exporttest.Bare(), exporttest.Hostile(), {}} {
		tree.add(j)
	}
	p := tree.pprof(time.Now(), time.Second)
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Sample {
		if s.Value[1] < 0 {
			t.Errorf("%v took %d ns", s.Location, s.Value[1])
		}
	}
}

func TestStacksAreBounded(t *testing.T) {
	s := NewSink()
	recording, err := s.begin()
	if err != nil {
		t.Fatal(err)
	}
	const more = 100
	for i := range 4 * (maxStacks/8 + more/4) { // each makes two stacks
		j := &journey.Journey{Hops: []journey.Hop{
			{Function: fmt.Sprint("outer", i), Parent: -1}, {Function: "inner", Parent: 0},
		}}
		if err := s.Export(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		for _, l := range s.Losses() {
			if l.Count != 2*more || l.Cause != "profile_stack_limit" {
				t.Errorf("losses %+v, want %d", l, 2*more)
			}
		}
	}
	check()
	s.end(recording)
	check()
	p := recording.pprof(time.Now(), time.Second)
	if len(p.Sample) != maxStacks || !strings.Contains(strings.Join(p.Comments, ""), "200 hops are missing") {
		t.Errorf("%d stacks, comments %q", len(p.Sample), p.Comments)
	}
}

// TestOnDemand: journeys are asked for by the first recording, not by others.
func TestOnDemand(t *testing.T) {
	s := NewSink()
	var asked []bool
	s.OnDemand(func(on bool) error {
		asked = append(asked, on)
		return nil
	})
	first, err := s.begin()
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.begin()
	if err != nil {
		t.Fatal(err)
	}
	s.end(first)
	s.end(second)
	if !slices.Equal(asked, []bool{true, false}) {
		t.Errorf("asked %v", asked)
	}
	s.OnDemand(func(bool) error { return errors.New("no") })
	if _, err := s.begin(); err == nil {
		t.Error("a recording of nothing began")
	}
}

// serve answers requests for profiles of what goes through a fan-out.
func serve(t *testing.T) (*Sink, *export.Fanout, string) {
	t.Helper()
	s := NewSink()
	f := export.NewFanout(nil, export.Route{Sink: s})
	t.Cleanup(func() { _ = f.Close(context.Background()) })
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, f, server.URL + Path
}

// get records for a second, in which journeys end all the time.
func get(t *testing.T, s *Sink, f *export.Fanout, url string) *http.Response {
	t.Helper()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
				f.Emit(exporttest.Ping())
			}
		}
	}()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.active.Load(); n != 0 {
		t.Errorf("%d recordings go on", n)
	}
	return response
}

func TestOverHTTP(t *testing.T) {
	s, f, url := serve(t)
	f.Emit(exporttest.NftDrop()) // before anybody asks
	response := get(t, s, f, url+"?seconds=1")
	defer response.Body.Close()
	p, err := profile.Parse(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if p.DurationNanos != int64(time.Second) || p.DefaultSampleType != "time" || time.Since(time.Unix(0, p.TimeNanos)) > time.Minute {
		t.Errorf("profile is %v", p)
	}
	got := strings.Join(lines(p), "\n")
	if !strings.Contains(got, "ip_rcv > icmp_rcv") || strings.Contains(got, "nf_hook_slow") {
		t.Errorf("stacks are\n%s", got)
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	_, _, url := serve(t)
	for _, query := range []string{"0", "-1", "301", "ten", "1.5"} {
		response, err := http.Get(url + "?seconds=" + query)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("seconds=%s: status %d", query, response.StatusCode)
		}
	}
}

func TestRecordingsAreBounded(t *testing.T) {
	s, _, url := serve(t)
	for range maxRecordings {
		if _, err := s.begin(); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.Get(url + "?seconds=300")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", response.StatusCode)
	}
}

// TestClientGoes: a recording does not outlive the request.
func TestClientGoes(t *testing.T) {
	s := NewSink()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, Path+"?seconds=300", nil))
	}()
	cancel()
	<-served
	if len(s.recordings) != 0 || s.active.Load() != 0 {
		t.Error("the recording goes on")
	}
}

// TestToolReadsIt asks the real tool.
func TestToolReadsIt(t *testing.T) {
	var tree tree
	tree.add(exporttest.Ping())
	path := filepath.Join(t.TempDir(), "packets.pb.gz")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.pprof(time.Now(), time.Second).Write(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"-top"}, []string{"Type: time", "16.10us", "wait: enqueue_to_backlog → __netif_receive_skb", "icmp_rcv"}},
		{[]string{"-top", "-sample_index=packets"}, []string{"Type: packets", "ip_rcv"}},
		{[]string{"-traces"}, []string{"ip_finish_output2"}},
	} {
		args := append(append([]string{"tool", "pprof"}, c.args...), path)
		out, err := exec.Command("go", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%v does not show %q:\n%s", c.args, want, out)
			}
		}
	}
}

func BenchmarkExportWhenNobodyAsks(b *testing.B) {
	s, j := NewSink(), exporttest.Long(100, 50)
	for b.Loop() {
		_ = s.Export(b.Context(), j)
	}
}

func BenchmarkExport(b *testing.B) {
	s, j := NewSink(), exporttest.Long(100, 50)
	if _, err := s.begin(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Export(b.Context(), j)
	}
}
