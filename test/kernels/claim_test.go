// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// claim says which journeys there must be, and what each must be like.
type claim struct {
	what string

	// Which journeys: of this protocol, between these addresses, to this port
	// (0 for any), that visit this function ("" for any), and descend so from
	// another ("" for any, original for not at all), which is like this.
	transport string
	from, to  string
	port      int
	visits    string
	lineage   string
	of        *claim
	which     func(*journey) bool // and that are like this; nil for any

	// How many: exactly one unless min or max says else.
	min, max int
	none     bool

	// What each is like; zero values claim nothing.
	path       []string    // functions visited, in this order
	nested     [][]string  // functions visited, each inside the one before, not always directly
	jumps      [][2]string // from, to: a function that ended in a jump to the next is not around it
	interfaces []string    // all the packet is on, in this order
	namespaces int         // how many the packet is in
	outcomes   []string
	drop       *drop // Function may name alternatives: a|b
	end        ending
	wait       [2]string     // from, to
	least      time.Duration // of that wait
	into       *claim        // what it is merged into
	maker      string        // what made it, by calling the function of the first hop
	process    string
	noProcess  bool // begins in an interrupt
	whole      bool // nothing is missing from it
	also       func(*testing.T, *journey)
}

// original is the lineage of a packet that was not made from another.
const original = "original"

func (c *claim) fits(j *journey) bool {
	return (c.transport == "" || j.Flow.Transport == c.transport) &&
		(c.from == "" || j.Flow.Source.Address == c.from) &&
		(c.to == "" || j.Flow.Destination.Address == c.to) &&
		(c.port == 0 || j.Flow.Destination.Port == c.port) &&
		(c.lineage == "" || j.Lineage == c.lineage || c.lineage == original && j.Lineage == "") &&
		(c.of == nil || j.parent != nil && c.of.fits(j.parent)) &&
		(c.visits == "" || j.visits(c.visits)) &&
		(c.which == nil || c.which(j))
}

func (c *claim) check(t *testing.T, all []*journey) {
	t.Helper()
	found := selectJourneys(all, c.fits)
	least, most := c.min, c.max
	if least == 0 && most == 0 && !c.none {
		least, most = 1, 1
	}
	if len(found) < least || (most > 0 || c.none) && len(found) > most {
		t.Errorf("%d journeys, want at least %d and at most %d; of the same packets:", len(found), least, most)
		logSome(t, selectJourneys(all, (&claim{transport: c.transport, from: c.from, to: c.to}).fits))
		return
	}
	for _, j := range found {
		c.checkOne(t, j)
	}
}

func (c *claim) checkOne(t *testing.T, j *journey) {
	t.Helper()
	before := t.Failed()
	if want := j.missing(c.path); want != "" {
		t.Errorf("%s is not visited, in %v", want, c.path)
	}
	if got := j.interfaces(); c.interfaces != nil && !slices.Equal(got, c.interfaces) {
		t.Errorf("on interfaces %q, want %q", got, c.interfaces)
	}
	if got := j.namespaces(); c.namespaces != 0 && len(got) != c.namespaces {
		t.Errorf("in namespaces %d, want %d of them", got, c.namespaces)
	}
	c.checkNesting(t, j)
	if c.wait[0] != "" && !j.waits(c.wait[0], c.wait[1], c.least) {
		t.Errorf("waits are %+v, want one %s → %s of at least %s", j.Waits, c.wait[0], c.wait[1], c.least)
	}
	if got := j.Hops[0].Caller; c.maker != "" && !matches(c.maker, got) {
		t.Errorf("made by %s, want %s", got, c.maker)
	}
	if c.into != nil && (j.absorber == nil || !c.into.fits(j.absorber)) {
		t.Errorf("absorbed by %s: %v, want %s", j.AbsorbedBy, j.absorber, c.into.what)
	}
	if last := j.Hops[len(j.Hops)-1]; c.end.function != "" && !c.end.isOf(j) {
		t.Errorf("ends by %s, which %s calls, want %s by %s", last.Function, last.Caller, c.end.function, c.end.caller)
	}
	c.checkOutcome(t, j)
	c.checkProcess(t, j)
	if c.whole && j.Incomplete {
		t.Errorf("incomplete: %s", j.Missing)
	}
	if c.also != nil {
		c.also(t, j)
	}
	if t.Failed() && !before {
		t.Log(j)
	}
}

func (c *claim) checkNesting(t *testing.T, j *journey) {
	t.Helper()
	for _, chain := range c.nested {
		if !j.nests(chain) {
			t.Errorf("nowhere are these inside of each other: %v", chain)
		}
	}
	for _, jump := range c.jumps {
		if j.missing(jump[:]) != "" || j.nests(jump[:]) {
			t.Errorf("%s is not after %s, or is inside of it", jump[1], jump[0])
		}
	}
}

func (c *claim) checkOutcome(t *testing.T, j *journey) {
	t.Helper()
	if c.outcomes != nil && !slices.Contains(c.outcomes, j.Outcome) {
		t.Errorf("outcome %s, want %q", j.Outcome, c.outcomes)
	}
	if c.drop == nil {
		return
	}
	if d := j.Drop; d == nil || d.Reason != c.drop.Reason || d.Subsystem != c.drop.Subsystem || !matches(c.drop.Function, d.Function) {
		t.Errorf("outcome %s, drop %+v, want drop %+v", j.Outcome, d, *c.drop)
	}
}

func (c *claim) checkProcess(t *testing.T, j *journey) {
	t.Helper()
	switch {
	case c.process != "" && (j.Process == nil || j.Process.Command != c.process || j.Process.PID <= 1):
		t.Errorf("process %+v, want %s", j.Process, c.process)
	case c.noProcess && j.Process != nil && !strings.HasPrefix(j.Process.Command, "ksoftirqd/"):
		t.Errorf("process %+v, want none: the packet was made in an interrupt", j.Process)
	}
}

func selectJourneys(all []*journey, fits func(*journey) bool) []*journey {
	var found []*journey
	for _, j := range all {
		if fits(j) {
			found = append(found, j)
		}
	}
	return found
}

func logSome(t *testing.T, all []*journey) {
	t.Helper()
	for i, j := range all {
		if i == 6 {
			t.Logf("and %d more", len(all)-i)
			return
		}
		t.Log(j)
	}
}

func TestNests(t *testing.T) {
	var j journey
	for _, h := range []struct {
		function string
		depth    int
	}{{"a", 0}, {"b", 1}, {"c", 2}, {"d", 1}, {"e", 0}, {"c", 1}} {
		j.Hops = append(j.Hops, hop{Function: h.function, Depth: h.depth})
	}
	for _, chain := range [][]string{{"a", "b", "c"}, {"a", "c"}, {"a", "d"}, {"e", "c"}, {"x|e", "c"}} {
		if !j.nests(chain) {
			t.Errorf("%v does not nest", chain)
		}
	}
	for _, chain := range [][]string{{"b", "d"}, {"b", "a"}, {"e", "b", "c"}, {"a", "e"}, {"c", "b"}, {"a", "x"}} {
		if j.nests(chain) {
			t.Errorf("%v nests", chain)
		}
	}
}
