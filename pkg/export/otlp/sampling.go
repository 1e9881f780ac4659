// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"fmt"
	"strings"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// traceStates makes the W3C tracestate that tells a backend how many packets a
// trace stands for, as OpenTelemetry's consistent probability sampling writes
// it: "ot=th:" and the threshold of 56 bits below which a trace id is not kept.
// It remembers the last one, since all journeys of a run have one of two.
type traceStates struct {
	sampling journey.Sampling
	state    string
}

func (t *traceStates) of(s journey.Sampling) string {
	if s.Unknown { // no threshold at all: a wrong one would be counted with
		return ""
	}
	if t.state == "" || t.sampling != s {
		t.sampling, t.state = s, "ot=th:"+thresholdText(s.Threshold)
	}
	return t.state
}

// thresholdText writes the upper 32 of the 56 bits in hex without the zeros at
// the end, of which the lower 24 bits are nothing but. "0" keeps everything.
func thresholdText(upper uint32) string {
	if digits := strings.TrimRight(fmt.Sprintf("%08x", upper), "0"); digits != "" {
		return digits
	}
	return "0"
}
