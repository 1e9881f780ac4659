// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"fmt"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// place names a span within its journey, whatever else the journey has: who
// knows the index of a hop knows its span.
type place uint64

const rootPlace place = 0

func hopPlace(index int) place  { return place(index) + 1 }
func waitPlace(index int) place { return 1<<32 | place(index) }

// spanID derives a span's id from its journey and its place there. Ids are
// computed and not drawn at random, because then a request that is sent twice
// after a lost answer gives a backend the same spans again, and because a
// derived packet can name its parent's span without any state shared between
// journeys. Within a journey all ids differ; between the journeys of one trace
// they collide as seldom as random ones.
func spanID(journeyID uint64, at place) uint64 {
	x := journey.Mix(journey.Mix(journeyID) + uint64(at))
	if x == 0 { // the one value that is no valid id
		x = 1
	}
	return x
}

// parentSpan is where the root span of j hangs: nowhere, which is 0, for an
// original packet, for a derived one under the hop of its parent, in the same
// trace, in which it was made, and under the parent's root if there is no such hop.
func parentSpan(j *journey.Journey) uint64 {
	if j.ParentID == 0 {
		return 0
	}
	if j.ParentHop == journey.NoHop {
		return spanID(j.ParentID, rootPlace)
	}
	return spanID(j.ParentID, hopPlace(j.ParentHop))
}

// journeyIDText writes a journey's id as the other sinks do: 16 hex digits,
// since neither OTLP's signed integers nor JSON's numbers hold 64 bits.
func journeyIDText(id uint64) string {
	return fmt.Sprintf("%016x", id)
}
