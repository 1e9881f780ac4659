// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// journey is a line of --print=json. After decoding every hop has the members
// that the line gives only where they change.
type journey struct {
	TraceID    string `json:"trace_id"`
	JourneyID  string `json:"journey_id"`
	ParentID   string `json:"parent_id"`
	Lineage    string `json:"lineage"`
	Start      string `json:"start"`
	DurationNS int64  `json:"duration_ns"`
	Outcome    string `json:"outcome"`
	AbsorbedBy string `json:"absorbed_by"`
	Incomplete bool   `json:"incomplete"`
	Missing    string `json:"missing"`
	Drop       *drop  `json:"drop"`
	Flow       flow   `json:"flow"`
	Process    *struct {
		PID     int    `json:"pid"`
		Command string `json:"command"`
	} `json:"process"`
	Hops  []hop  `json:"hops"`
	Waits []wait `json:"waits"`

	// Of ParentID and of AbsorbedBy; nil if there is none among those decoded.
	parent, absorber *journey
}

type drop struct {
	Reason    string `json:"reason"`
	Subsystem string `json:"subsystem"`
	Function  string `json:"function"`
}

type flow struct {
	NetworkType string   `json:"network_type"`
	Transport   string   `json:"transport"`
	Source      endpoint `json:"source"`
	Destination endpoint `json:"destination"`
	Fragment    bool     `json:"fragment"`
	VLAN        int      `json:"vlan"`
}

type endpoint struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
}

type hop struct {
	Function   string  `json:"function"`
	Caller     string  `json:"caller"`
	Via        string  `json:"via"`
	OffsetNS   int64   `json:"offset_ns"`
	DurationNS int64   `json:"duration_ns"`
	Exact      bool    `json:"exact"`
	Depth      int     `json:"depth"`
	Interface  *string `json:"interface"`
	Netns      *uint32 `json:"netns"`
	Length     *uint32 `json:"length"`
	Mark       *uint32 `json:"mark"`
}

type wait struct {
	From       string `json:"from"`
	To         string `json:"to"`
	OffsetNS   int64  `json:"offset_ns"`
	DurationNS int64  `json:"duration_ns"`
}

func (j *journey) String() string {
	text := fmt.Sprintf("journey %s: %s", j.JourneyID, j.summary())
	if j.ParentID != "" {
		text += " of " + j.ParentID
	}
	if j.Drop != nil {
		text += fmt.Sprintf(" %+v", *j.Drop)
	}
	if j.Incomplete {
		text += ", incomplete: " + j.Missing
	}
	return text + "\n" + j.tree()
}

func (j *journey) summary() string {
	text := fmt.Sprintf("%s %s %s → %s: %s", j.Flow.NetworkType, j.Flow.Transport, j.Flow.Source, j.Flow.Destination, j.Outcome)
	if j.Lineage != "" {
		text += ", a " + j.Lineage
	}
	return text
}

func (e endpoint) String() string {
	if e.Port == 0 {
		return e.Address
	}
	return fmt.Sprintf("%s:%d", e.Address, e.Port)
}

// tree is the nesting of the hops, without times.
func (j *journey) tree() string {
	var b strings.Builder
	for i, h := range j.Hops {
		if w := j.waitBefore(i); w != nil {
			fmt.Fprintf(&b, "  ~ wait: %s → %s\n", w.From, w.To)
		}
		fmt.Fprintf(&b, "  %s%s", strings.Repeat("  ", h.Depth), h.Function)
		if i > 0 && *h.Interface != *j.Hops[i-1].Interface {
			fmt.Fprintf(&b, "  [%s]", *h.Interface)
		}
		if h.Via != "" {
			fmt.Fprintf(&b, "  via %s", h.Via)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (j *journey) waitBefore(i int) *wait {
	h := &j.Hops[i]
	for k := range j.Waits {
		w := &j.Waits[k]
		if i > 0 && w.To == h.Function && w.OffsetNS == j.Hops[i-1].OffsetNS && w.OffsetNS+w.DurationNS == h.OffsetNS {
			return w
		}
	}
	return nil
}

// decode reads a file of JSON lines; there must be nothing else in it.
func decode(t *testing.T, file string) []*journey {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*journey
	for line := range strings.Lines(string(text)) {
		j := new(journey)
		d := json.NewDecoder(strings.NewReader(line))
		if err := d.Decode(j); err != nil {
			t.Fatalf("%s: %v in line %q", file, err, line)
		}
		if err := j.complete(); err != nil {
			t.Fatalf("%s: %v in line %q", file, err, line)
		}
		all = append(all, j)
	}
	relate(all)
	return all
}

func relate(all []*journey) {
	byID := make(map[string]*journey)
	for _, j := range all {
		byID[j.JourneyID] = j
	}
	for _, j := range all {
		j.parent, j.absorber = byID[j.ParentID], byID[j.AbsorbedBy]
	}
}

// complete gives every hop what the hop before had and it does not repeat.
func (j *journey) complete() error {
	if len(j.Hops) == 0 {
		return errors.New("no hops")
	}
	first := &j.Hops[0]
	if first.Interface == nil || first.Netns == nil || first.Length == nil || first.Mark == nil {
		return errors.New("the first hop lacks interface, netns, length or mark")
	}
	for i := range j.Hops[1:] {
		before, h := &j.Hops[i], &j.Hops[i+1]
		if h.Interface == nil {
			h.Interface = before.Interface
		}
		if h.Netns == nil {
			h.Netns = before.Netns
		}
		if h.Length == nil {
			h.Length = before.Length
		}
		if h.Mark == nil {
			h.Mark = before.Mark
		}
	}
	return nil
}

// atEnd: functions that run when a packet ends, as destructors and after. A
// tracepoint for that may well be the first that a packet passes.
var atEnd = regexp.MustCompile(`^[^:]*(free|destruct|release)`)

var hexID = regexp.MustCompile(`^[0-9a-f]+$`)

// checkForm reports what no journey may be, whatever happened to the packet.
func (j *journey) checkForm() error {
	outcomes := []string{"delivered", "transmitted", "dropped", "consumed", "absorbed", "expired"}
	switch {
	case len(j.TraceID) != 32 || !hexID.MatchString(j.TraceID):
		return fmt.Errorf("trace_id %q", j.TraceID)
	case len(j.JourneyID) != 16 || !hexID.MatchString(j.JourneyID):
		return fmt.Errorf("journey_id %q", j.JourneyID)
	case !slices.Contains(outcomes, j.Outcome):
		return fmt.Errorf("outcome %q", j.Outcome)
	case (j.Drop != nil) != (j.Outcome == "dropped"):
		return fmt.Errorf("outcome %s with drop %v", j.Outcome, j.Drop)
	case (j.ParentID != "") != slices.Contains([]string{"clone", "copy", "fragment", "segment", "retransmission"}, j.Lineage):
		return fmt.Errorf("parent_id %q, lineage %q", j.ParentID, j.Lineage)
	case j.AbsorbedBy != "" && j.Outcome != "absorbed":
		return fmt.Errorf("outcome %s, but absorbed by %s", j.Outcome, j.AbsorbedBy)
	case atEnd.MatchString(j.Hops[0].Function):
		return fmt.Errorf("it begins in %s", j.Hops[0].Function)
	case j.Incomplete != (j.Missing != ""):
		return fmt.Errorf("incomplete %t, missing %q", j.Incomplete, j.Missing)
	}
	return errors.Join(j.checkTree(), j.checkWaits())
}

// checkTree: hops are in the order of time, and each lies within its parent,
// which is one level above.
func (j *journey) checkTree() error {
	var open []hop
	last := int64(0)
	for i, h := range j.Hops {
		if h.Depth < 0 || h.Depth > len(open) {
			return fmt.Errorf("hop %d, %s: depth %d below a hop of depth %d", i, h.Function, h.Depth, len(open)-1)
		}
		open = open[:h.Depth]
		if h.OffsetNS < last || h.DurationNS < 0 || h.OffsetNS+h.DurationNS > j.DurationNS {
			return fmt.Errorf("hop %d, %s: %d ns at %d ns, after %d ns, in a journey of %d ns",
				i, h.Function, h.DurationNS, h.OffsetNS, last, j.DurationNS)
		}
		if len(open) > 0 {
			parent := open[len(open)-1]
			if h.OffsetNS+h.DurationNS > parent.OffsetNS+parent.DurationNS {
				return fmt.Errorf("hop %d, %s: ends after %s, which calls it", i, h.Function, parent.Function)
			}
		}
		open = append(open, h)
		last = h.OffsetNS
	}
	return nil
}

// checkWaits: they are within the journey, one after the other.
func (j *journey) checkWaits() error {
	last := int64(0)
	for _, w := range j.Waits {
		if w.OffsetNS < last {
			return fmt.Errorf("wait %+v begins before %d ns, where another ends", w, last)
		}
		last = w.OffsetNS + w.DurationNS
		if w.From == "" || w.To == "" || w.OffsetNS < 0 || w.DurationNS < 0 || w.OffsetNS+w.DurationNS > j.DurationNS {
			return fmt.Errorf("wait %+v in a journey of %d ns", w, j.DurationNS)
		}
	}
	return nil
}

// checkForms reports the first few journeys that are not well-formed.
func checkForms(t *testing.T, all []*journey) {
	t.Helper()
	bad := 0
	for _, j := range all {
		err := j.checkForm()
		if err == nil {
			continue
		}
		if bad++; bad <= 3 {
			t.Errorf("%v\n%s", err, j)
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d journeys are not well-formed", bad, len(all))
	}
}

// checkLineage: a packet made from another one belongs to the trace of that one,
// whose journey is there too, and begins while that one is on its way.
func checkLineage(t *testing.T, all []*journey) {
	t.Helper()
	seen := make(map[string]bool)
	for _, j := range all {
		if seen[j.JourneyID] {
			t.Errorf("two journeys are %s", j.JourneyID)
		}
		seen[j.JourneyID] = true
	}
	for _, j := range all {
		parent := j.parent
		switch {
		case j.ParentID == "":
		case parent == nil:
			t.Errorf("there is no journey %s, the parent of %s", j.ParentID, j)
		case parent.TraceID != j.TraceID || parent.Start > j.Start:
			t.Errorf("trace %s from %s on: %s\nits parent has trace %s from %s on: %s", j.TraceID, j.Start, j, parent.TraceID, parent.Start, parent)
		}
	}
}

// visits reports whether the journey visits a function. A name that ends in *
// stands for all that begin so.
func (j *journey) visits(function string) bool {
	return slices.ContainsFunc(j.Hops, func(h hop) bool { return matches(function, h.Function) })
}

// calls reports whether one function calls another on the way; each may name alternatives.
func (j *journey) calls(caller, function string) bool {
	return slices.ContainsFunc(j.Hops, func(h hop) bool { return matches(caller, h.Caller) && matches(function, h.Function) })
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	for alternative := range strings.SplitSeq(pattern, "|") {
		if alternative == name {
			return true
		}
	}
	return false
}

// missing returns the first function of a path that the journey does not visit
// after the ones before it, "" if it visits all in this order.
func (j *journey) missing(path []string) string {
	i := 0
	for _, want := range path {
		for i < len(j.Hops) && !matches(want, j.Hops[i].Function) {
			i++
		}
		if i == len(j.Hops) {
			return want
		}
		i++
	}
	return ""
}

// interfaces are those that the packet is on, one after the other.
func (j *journey) interfaces() []string {
	var names []string
	for _, h := range j.Hops {
		if *h.Interface != "" {
			names = append(names, *h.Interface)
		}
	}
	return slices.Compact(names)
}

// namespaces are those that the packet is in, one after the other.
func (j *journey) namespaces() []uint32 {
	var inodes []uint32
	for _, h := range j.Hops {
		if *h.Netns != 0 {
			inodes = append(inodes, *h.Netns)
		}
	}
	return slices.Compact(inodes)
}

func (j *journey) waits(from, to string, least time.Duration) bool {
	return slices.ContainsFunc(j.Waits, func(w wait) bool {
		return matches(from, w.From) && matches(to, w.To) && time.Duration(w.DurationNS) >= least
	})
}

// nests reports whether the journey visits the last function of a chain inside of
// the one before, that inside of the one before it, and so on.
func (j *journey) nests(chain []string) bool {
	inner := len(chain) - 1
	for i, h := range j.Hops {
		if matches(chain[inner], h.Function) && j.isInside(i, chain[:inner]) {
			return true
		}
	}
	return false
}

// isInside goes outward from a hop through those that are around it.
func (j *journey) isInside(hop int, outer []string) bool {
	depth := j.Hops[hop].Depth
	for i := hop - 1; i >= 0 && len(outer) > 0; i-- {
		h := j.Hops[i]
		if h.Depth >= depth {
			continue
		}
		depth = h.Depth
		if matches(outer[len(outer)-1], h.Function) {
			outer = outer[:len(outer)-1]
		}
	}
	return len(outer) == 0
}
