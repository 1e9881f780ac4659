// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// TestThresholdText has the thresholds of OpenTelemetry's specification, 100 %,
// 50 %, 25 %, 12.5 % and 1/1024, and those that are not so round.
func TestThresholdText(t *testing.T) {
	for upper, want := range map[uint32]string{
		0: "0", 0x80000000: "8", 0xc0000000: "c", 0xe0000000: "e", 0xffc00000: "ffc",
		0xe6666667: "e6666667", 0xfd70a3d8: "fd70a3d8", 0xffbe76c9: "ffbe76c9",
		0xaaaaaab0: "aaaaaab", 0x00000001: "00000001", math.MaxUint32: "ffffffff",
	} {
		if got := thresholdText(upper); got != want {
			t.Errorf("%#08x is %q, want %q", upper, got, want)
		}
	}
}

// readThreshold does what the specification asks of a reader: th has up to 14
// hex digits, and zeros are to be put behind them.
func readThreshold(t *testing.T, state string) uint64 {
	t.Helper()
	th, ok := strings.CutPrefix(state, "ot=th:")
	if !ok || len(th) == 0 || len(th) > 14 {
		t.Fatalf("tracestate %q", state)
	}
	threshold, err := strconv.ParseUint(th+strings.Repeat("0", 14-len(th)), 16, 56)
	if err != nil {
		t.Fatal(err)
	}
	return threshold
}

// TestEverySpanTellsItsSampling reads it back as a backend would: one kept trace
// stands for as many packets as there were for it.
func TestEverySpanTellsItsSampling(t *testing.T) {
	for threshold, packets := range map[uint32]float64{
		0: 1, 0x80000000: 2, 0xc0000000: 4, 0xe6666667: 10, 0xfd70a3d8: 100, 0xffbe76c9: 1000,
	} {
		j := exporttest.TCPWait()
		j.Sampling = journey.Sampling{Threshold: threshold}
		for _, s := range built(t, j) {
			read := readThreshold(t, s.TraceState)
			const all = 1 << 56
			if got := all / float64(all-read); math.Abs(got-packets) > packets*1e-6 {
				t.Errorf("%s: one trace of %#x stands for %v packets, want %v", s.Name, threshold, got, packets)
			}
			if !trace.TraceFlags(s.Flags).IsRandom() {
				t.Errorf("%s: the id is not flagged as random", s.Name)
			}
		}
	}
}

func TestSamplingOfEachJourneyOfARequest(t *testing.T) {
	var batch []*journey.Journey
	samplings := []journey.Sampling{{Threshold: 0xe6666667}, {}, {Unknown: true}, {Threshold: 0xe6666667}, {Threshold: 5, Unknown: true}}
	for _, s := range samplings {
		j := exporttest.Bare()
		j.Sampling = s
		batch = append(batch, j)
	}
	spans := built(t, batch...)
	for i, want := range []string{"ot=th:e6666667", "ot=th:0", "", "ot=th:e6666667", ""} {
		if got := spans[i].TraceState; got != want {
			t.Errorf("%+v: tracestate %q, want %q", samplings[i], got, want)
		}
	}
}
