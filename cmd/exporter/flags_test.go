// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/pkg/tracer"
)

func TestParse(t *testing.T) {
	s, err := parse([]string{
		"--probe.source=functions", "--filter.mark=1/3", "--journey.max-hops=10", "--print=json",
		"--web.listen-address=127.0.0.1:1", "host", "10.0.0.2", "and", "icmp",
	}, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	if s.tracer.Filter != "host 10.0.0.2 and icmp" || s.tracer.Source != "functions" || s.tracer.Mark != "1/3" || s.tracer.MaxHops != 10 {
		t.Errorf("tracer: %+v", s.tracer)
	}
	if s.print != "json" || (*s.web.WebListenAddresses)[0] != "127.0.0.1:1" || s.telemetryPath != "/metrics" {
		t.Errorf("settings: %+v", s)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--no-such-flag"}, {"--print=xml"}, {"--probe.backend=magic"}, {"--journey.max-hops=many"},
		{"--journey.max-hops=0"}, {"--journey.timeout=0s"}, {"--journey.timeout=1"}, {"--web.telemetry-path=metrics"}, {"--web.telemetry-path=/"},
		{"--web.telemetry-path=/debug/packets/profile"}, {"--web.telemetry-path=/-/healthy"}, {"--web.telemetry-path=/-/ready"},
	} {
		_, err := parse(args, new(bytes.Buffer))
		var usage *tracer.UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%v: %v, want a usage error", args, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	for flag, want := range map[string]string{"--help": "--probe.source", "-h": "pcap expression", "--version": "skbpath"} {
		var out bytes.Buffer
		if _, err := parse([]string{flag}, &out); !errors.Is(err, errAnswered) || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v, %q", flag, err, out.String())
		}
	}
}

// TestFailuresBeforeTheKernel: what is wrong without the kernel's help ends the
// program with one line and the right status.
func TestFailuresBeforeTheKernel(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want int
	}{
		"unknown flag":          {[]string{"--no-such-flag"}, exitUsage},
		"bad filter":            {[]string{"--web.listen-address=127.0.0.1:0", "tcp prot 80"}, exitUsage},
		"unreadable web config": {[]string{"--web.config.file=/no/such/file"}, exitFailed},
		"address not ours":      {[]string{"--web.listen-address=192.0.2.1:1"}, exitFailed},
		"version":               {[]string{"--version"}, exitDone},
	} {
		if got := run(test.args); got != test.want {
			t.Errorf("%s: status %d, want %d", name, got, test.want)
		}
	}
}
