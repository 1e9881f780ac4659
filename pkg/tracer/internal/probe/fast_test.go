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
	general := callsOfDatagram(t, &Options{noFastPath: true}, true)
	if len(general) < 20 {
		t.Errorf("by the general path only %v", general)
	}
	for _, recorded := range []bool{true, false} {
		if fast := callsOfDatagram(t, &Options{}, recorded); !maps.Equal(fast, general) {
			t.Errorf("recorded %t: by the fast path %v, by the general one %v", recorded, fast, general)
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
