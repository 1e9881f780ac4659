// SPDX-License-Identifier: Apache-2.0

package tracer

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/internal/probe"
)

func TestKeep(t *testing.T) {
	for name, test := range map[string]struct {
		config Config
		want   probe.Options
	}{
		"nothing said": {Config{}, probe.Options{KeepAll: true}},
		"dropped only": {Config{Keep: []string{"dropped"}}, probe.Options{KeepDropped: true}},
		"dropped, slow": {
			Config{Keep: []string{"dropped", "slow:5ms"}},
			probe.Options{KeepDropped: true, KeepSlow: 5 * time.Millisecond},
		},
		"a sample, all drops": {
			Config{Keep: []string{"all", "dropped"}, Sample: "1/10", RateLimit: "100/s"},
			probe.Options{KeepAll: true, KeepDropped: true, Threshold: 0xe6666667, RateLimit: 100},
		},
		"no thinning": {Config{Sample: "1/1"}, probe.Options{KeepAll: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var o probe.Options
			if err := test.config.setKeep(&o); err != nil {
				t.Fatal(err)
			}
			if o.KeepAll != test.want.KeepAll || o.KeepDropped != test.want.KeepDropped || o.KeepSlow != test.want.KeepSlow ||
				o.Threshold != test.want.Threshold || o.RateLimit != test.want.RateLimit {
				t.Errorf("%+v, want %+v", o, test.want)
			}
		})
	}
}

func TestKeepRefuses(t *testing.T) {
	for _, c := range []Config{
		{Keep: []string{"some"}},
		{Keep: []string{"slow:"}},
		{Keep: []string{"slow:-1s"}},
		{Keep: []string{"slow:1s", "slow:2s"}},
		{Keep: []string{"dropped"}, Sample: "1/10"},
		{Sample: "10"},
		{Sample: "2/3"},
		{Sample: "1/0"},
		{RateLimit: "100"},
		{RateLimit: "0/s"},
	} {
		if err := c.setKeep(new(probe.Options)); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// TestThreshold compares with the thresholds of OpenTelemetry's specification
// of probability sampling, cut to 32 bits and rounded.
func TestThreshold(t *testing.T) {
	for n, want := range map[uint32]uint32{1: 0, 2: 0x80000000, 4: 0xc0000000, 10: 0xe6666667, 100: 0xfd70a3d8} {
		if got := threshold(n); got != want {
			t.Errorf("threshold(%d) = %#x, want %#x", n, got, want)
		}
	}
}

// TestTraceIDs: whoever compares the 56 random bits of a kept trace with the
// threshold, comes to the decision of the kernel half.
func TestTraceIDsCarryTheSampling(t *testing.T) {
	keys := traceIDs{1, 2}
	const random = 0xfd70a3d8
	id := keys.of(77, random)
	if got := binary.BigEndian.Uint32(id[9:]); got != random {
		t.Errorf("%x: the random bits begin with %#x, want %#x", id, got, uint32(random))
	}
	if other := keys.of(78, random); other == id {
		t.Errorf("two roots have one trace id, %x", id)
	}
}
