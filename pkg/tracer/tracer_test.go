// SPDX-License-Identifier: Apache-2.0

package tracer

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseMark(t *testing.T) {
	tests := []struct {
		text       string
		mark, mask uint32
		fault      string
	}{
		{text: "1", mark: 1, mask: 0xffffffff},
		{text: "0x10/0xf0", mark: 0x10, mask: 0xf0},
		{text: "x", fault: `"x" is not a 32-bit number`},
		{text: "1/0", fault: `"0" is not a 32-bit mask`},
		{text: "0x10/1", fault: "no packet has it"},
		{text: "1/", fault: `"" is not a 32-bit mask`},
		{text: "0x100000000", fault: "not a 32-bit number"},
	}
	for _, test := range tests {
		mark, mask, err := parseMark(test.text)
		if test.fault != "" {
			if err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%q: %v, want %q", test.text, err, test.fault)
			}
			continue
		}
		if err != nil || mark != test.mark || mask != test.mask {
			t.Errorf("%q: %#x/%#x, %v", test.text, mark, mask, err)
		}
	}
}

// TestUsageErrors: what cannot be is said before the kernel is asked.
func TestUsageErrors(t *testing.T) {
	tests := map[string]struct {
		config Config
		fault  string
	}{
		"filter":                {Config{Filter: "tcp prot 80"}, `"prot" (column 5)`},
		"functions":             {Config{Functions: "("}, "missing closing ): `(`"},
		"functions, two halves": {Config{Functions: "a)|(b"}, "unexpected )"},
		"mark":                  {Config{Mark: "red"}, `mark "red"`},
		"netns":                 {Config{Netns: "no-such-netns"}, "no-such-netns"},
		"interface":             {Config{Interface: "a-name-that-is-too-long"}, "at most 15"},
		"tracepoints, backend":  {Config{Source: "tracepoints", Backend: "kprobe"}, "does not go with source tracepoints"},
		"drops, function":       {Config{Source: "drops", Functions: "ip_.*"}, "does not go with source drops"},
		"tracepoints, function": {Config{Source: "tracepoints", Functions: "ip_.*"}, "does not go with source tracepoints"},
		"all and some modules":  {Config{AllModules: true, Modules: []string{"veth"}}, "do not go together"},
		"negative hops":         {Config{MaxHops: -1}, "max hops -1"},
		"very many hops":        {Config{MaxHops: 1 << 32}, "max hops 4294967296"},
		"negative timeout":      {Config{Timeout: -time.Second}, "timeout -1s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), test.config)
			var usage *UsageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("got %v, want a usage error with %q", err, test.fault)
			}
		})
	}
}

func TestTraceIDs(t *testing.T) {
	keys := traceIDs{1, 2}
	if first, again := keys.of(7, 9), keys.of(7, 9); first != again {
		t.Error("the journeys of one root have two trace ids")
	}
	if keys.of(7, 9) == keys.of(8, 9) || keys.of(7, 9) == (traceIDs{1, 3}).of(7, 9) {
		t.Error("two traces have one id")
	}
}
