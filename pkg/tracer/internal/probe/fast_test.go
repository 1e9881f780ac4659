// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"maps"
	"os"
	"testing"
)

// TestPaths: the functions that a datagram meets by the fast path, whether hops are recorded
// or only counted, and by the general one are the same, and are called as often.
func TestPaths(t *testing.T) {
	if os.Getenv("SKBPATH_LOAD_EBPF") == "" {
		t.Skip("SKIPPED here, run in a VM by test/kernels: it loads eBPF (SKBPATH_LOAD_EBPF=1 runs it)")
	}
	sendToSomebody(t) // what is done for the first only is done
	calls := make(map[string]map[string]uint64)
	for _, path := range []struct {
		name     string
		options  Options
		recorded bool
	}{
		{"general", Options{noFastPath: true}, true},
		{"recorded", Options{}, true},
		{"only counted", Options{}, false},
	} {
		t.Run(path.name, func(t *testing.T) { calls[path.name] = callsOfDatagram(t, &path.options, path.recorded) })
	}
	general := calls["general"]
	if len(general) < 20 {
		t.Errorf("by the general path only %v", general)
	}
	for _, fast := range []string{"recorded", "only counted"} {
		if !maps.Equal(calls[fast], general) {
			t.Errorf("%s by the fast path %v, by the general one %v", fast, calls[fast], general)
		}
	}
}

// callsOfDatagram counts the calls that a datagram to the host itself makes of each
// function: the most of several datagrams, since an interrupt may hide a call.
func callsOfDatagram(t *testing.T, o *Options, recorded bool) map[string]uint64 {
	t.Helper()
	o.Interface = "lo"
	p := opened(t, o)
	if err := p.Record(recorded); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.enable(false); err != nil {
			t.Error(err)
		}
	}()
	most, before := make(map[string]uint64), make(map[string]uint64)
	for range 10 {
		sendToSomebody(t)
		counted, err := p.Functions()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counted {
			most[c.Function] = max(most[c.Function], c.Calls-before[c.Function])
			before[c.Function] = c.Calls
		}
	}
	return most
}

// TestVerifierWork: skbpath starts as fast as the verifier goes through its programs, which
// follows each way that it cannot tell from another (docs/cost.md).
func TestVerifierWork(t *testing.T) {
	if os.Getenv("SKBPATH_LOAD_EBPF") == "" {
		t.Skip("SKIPPED here, run in a VM by test/kernels: it loads eBPF (SKBPATH_LOAD_EBPF=1 runs it)")
	}
	const most = 450_000
	p := opened(t, &Options{})
	var sum uint32
	for name, program := range p.collection.Programs {
		info, err := program.Info()
		if err != nil {
			t.Fatal(err)
		}
		verified, known := info.VerifiedInstructions()
		if !known {
			t.Fatalf("the kernel does not tell of %s", name)
		}
		sum += verified
	}
	t.Logf("%d programs, %d instructions verified", len(p.collection.Programs), sum)
	if sum > most {
		t.Errorf("%d instructions verified, at most %d wanted", sum, most)
	}
}
