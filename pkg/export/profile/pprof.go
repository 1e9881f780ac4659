// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/pprof/profile"
)

// pprof writes the tree in the form that pprof reads: a sample for each stack,
// with the packets that were there and the time that they spent there.
func (t *tree) pprof(start time.Time, duration time.Duration) *profile.Profile {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{
			{Type: "packets", Unit: "count"},
			{Type: "time", Unit: "nanoseconds"},
		},
		DefaultSampleType: "time",
		TimeNanos:         start.UnixNano(),
		DurationNanos:     duration.Nanoseconds(),
		Mapping:           []*profile.Mapping{{ID: 1, File: "[kernel]", HasFunctions: true}},
		Comments:          []string{fmt.Sprintf("%d journeys", t.journeys)},
	}
	if t.lost > 0 {
		p.Comments = append(p.Comments, fmt.Sprintf("%d hops are missing: more than %d different stacks", t.lost, maxStacks))
	}
	l := locations{profile: p, known: make(map[string]*profile.Location)}
	t.top.each(func(s *stack) {
		p.Sample = append(p.Sample, &profile.Sample{
			Location: l.of(s),
			Value:    []int64{s.packets, s.self.Nanoseconds()},
		})
	})
	slices.SortFunc(p.Sample, func(a, b *profile.Sample) int { return cmp.Compare(b.Value[1], a.Value[1]) })
	return p
}

// locations gives each function one place in the profile.
type locations struct {
	profile *profile.Profile
	known   map[string]*profile.Location
}

// of lists the functions of a stack, the innermost first.
func (l *locations) of(s *stack) []*profile.Location {
	var all []*profile.Location
	for ; s.above != nil; s = s.above {
		all = append(all, l.function(s.function))
	}
	return all
}

func (l *locations) function(name string) *profile.Location {
	if known := l.known[name]; known != nil {
		return known
	}
	id := uint64(len(l.known) + 1)
	f := &profile.Function{ID: id, Name: name, SystemName: name}
	location := &profile.Location{ID: id, Mapping: l.profile.Mapping[0], Line: []profile.Line{{Function: f}}}
	l.profile.Function = append(l.profile.Function, f)
	l.profile.Location = append(l.profile.Location, location)
	l.known[name] = location
	return location
}
