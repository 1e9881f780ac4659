// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"slices"
	"testing"
)

func part(id uint64, number int, more bool, hops int) *Record {
	return &Record{ID: id, Part: number, More: more, Visits: make([]Visit, hops)}
}

func TestAssemble(t *testing.T) {
	tests := map[string]struct {
		parts []*Record
		hops  int
		lost  string
	}{
		"one part":         {[]*Record{part(1, 0, false, 3)}, 3, ""},
		"three parts":      {[]*Record{part(1, 0, true, 3), part(1, 1, true, 4), part(1, 2, false, 5)}, 12, ""},
		"first missing":    {[]*Record{part(1, 1, true, 4), part(1, 2, false, 5)}, 9, "its first part"},
		"only the last":    {[]*Record{part(1, 2, false, 5)}, 5, "its first part"},
		"middle missing":   {[]*Record{part(1, 0, true, 3), part(1, 2, false, 5)}, 8, "a part in the middle"},
		"kernel's own cut": {[]*Record{part(1, 0, true, 3), {ID: 1, Part: 1, Lost: "hops"}}, 3, "hops"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := NewAssembler()
			for i, p := range test.parts {
				whole := a.Add(p)
				if last := i == len(test.parts)-1; (whole != nil) != last {
					t.Fatalf("part %d: whole %t, want %t", i, whole != nil, last)
				} else if last && (len(whole.Visits) != test.hops || whole.Lost != test.lost) {
					t.Errorf("%d hops, lost %q; want %d, %q", len(whole.Visits), whole.Lost, test.hops, test.lost)
				}
			}
			if len(a.unfinished) != 0 || a.Lost() != 0 {
				t.Errorf("%d unfinished, %d lost", len(a.unfinished), a.Lost())
			}
		})
	}
}

// TestOutcomeOfTheLastPart: earlier parts left before there was one.
func TestOutcomeOfTheLastPart(t *testing.T) {
	a := NewAssembler()
	first, last := part(1, 0, true, 3), part(1, 1, false, 3)
	first.Outcome = Transmitted
	last.Outcome, last.Drop = Dropped, &Drop{}
	a.Add(first)
	if whole := a.Add(last); whole.Outcome != Dropped || whole.Drop != last.Drop {
		t.Errorf("outcome %s, drop %v", whole.Outcome, whole.Drop)
	}
}

// TestCallsOfLaterParts: a call may have begun in the part before.
func TestCallsOfLaterParts(t *testing.T) {
	a := NewAssembler()
	first, last := part(1, 0, true, 3), part(1, 1, false, 3)
	first.Calls, last.Calls = []Call{{Before: 2}}, []Call{{Before: 0}, {Before: 3}}
	a.Add(first)
	if whole := a.Add(last); !slices.Equal(whole.Calls, []Call{{Before: 2}, {Before: 3}, {Before: 6}}) {
		t.Errorf("calls %+v", whole.Calls)
	}
}

func TestAssemblerIsBounded(t *testing.T) {
	a := NewAssembler()
	for id := range uint64(3 * maxUnfinished) {
		a.Add(part(id, 0, true, 1))
	}
	if len(a.unfinished) > maxUnfinished || a.Lost() != 2*maxUnfinished {
		t.Errorf("%d unfinished, %d lost; want %d and %d", len(a.unfinished), a.Lost(), maxUnfinished, 2*maxUnfinished)
	}
}

func TestAssemblerWaitsForOneBesideMany(t *testing.T) {
	a := NewAssembler()
	a.Add(part(0, 0, true, 1))
	for id := range uint64(5 * maxUnfinished) {
		a.Add(part(id+1, 0, true, 1))
		a.Add(part(id+1, 1, false, 1))
	}
	if whole := a.Add(part(0, 1, false, 1)); whole == nil || whole.Lost != "" {
		t.Errorf("the patient journey came out as %+v", whole)
	}
	if len(a.order) > 2*maxUnfinished+1 {
		t.Errorf("%d ids remembered", len(a.order))
	}
}

// FuzzAssemble loses, repeats and reorders parts: every hop that goes in comes
// out once, or is still awaited, or is counted as lost with its journey.
func FuzzAssemble(f *testing.F) {
	f.Add([]byte{0x10, 0x11, 0x02})
	f.Add([]byte{0x12, 0x12, 0x00, 0x30})
	f.Fuzz(func(t *testing.T, steps []byte) {
		a := NewAssembler()
		in, out := 0, 0
		for _, s := range steps {
			p := part(uint64(s&3), int(s>>2&3), s&0x10 != 0, int(s>>5))
			in += len(p.Visits)
			if whole := a.Add(p); whole != nil {
				out += len(whole.Visits)
			}
		}
		for _, r := range a.unfinished {
			out += len(r.Visits)
		}
		if in != out {
			t.Errorf("%d hops went in, %d are accounted for", in, out)
		}
	})
}
