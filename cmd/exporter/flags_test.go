// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
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
		{"--web.telemetry-path=/{x"}, {"--web.telemetry-path=/a b"}, {"--web.telemetry-path=/a/../b"}, {"--web.telemetry-path=/.."},
		{"--web.telemetry-path=/debug/packets/profile"}, {"--web.telemetry-path=/-/healthy"}, {"--web.telemetry-path=/-/ready"},
	} {
		_, err := parse(args, new(bytes.Buffer))
		var usage *tracer.UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%v: %v, want a usage error", args, err)
		}
	}
}

// TestErrorsNameTheFlag: kingpin's own name the word alone.
func TestErrorsNameTheFlag(t *testing.T) {
	for _, flag := range []string{"--print=x", "--journey.timeout=10", "--journey.timeout=-1s", "--journey.max-hops=0", "--journey.max-hops=1k"} {
		name, _, _ := strings.Cut(flag, "=")
		if _, err := parse([]string{flag}, new(bytes.Buffer)); err == nil || !strings.HasPrefix(err.Error(), name+" must be ") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

// TestPaths: what is taken as a path is none that the server panics at.
func TestPaths(t *testing.T) {
	for _, path := range []string{"/metrics", "/a/b.c", "/~me/_m-1"} {
		if _, err := parse([]string{"--web.telemetry-path=" + path}, new(bytes.Buffer)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		http.NewServeMux().Handle(path, http.NotFoundHandler())
	}
}

// TestAnswerNobodyReads: the disk is full, say.
func TestAnswerNobodyReads(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, flag := range []string{"--help", "--version"} {
		if _, err := parse([]string{flag}, full); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", flag, err)
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
		"unreadable web config": {[]string{"--web.config.file=/no/such/file"}, exitUsage},
		"no address":            {[]string{"--web.listen-address="}, exitUsage},
		"no such port":          {[]string{"--web.listen-address=:99999"}, exitUsage},
		"no socket":             {[]string{"--web.systemd-socket"}, exitUsage},
		"no place to be ready":  {[]string{"--web.listen-address=127.0.0.1:0", "--ready-file=/no/such/file"}, exitUsage},
		"address not ours":      {[]string{"--web.listen-address=192.0.2.1:1"}, exitFailed},
		"version":               {[]string{"--version"}, exitDone},
	} {
		if got := run(test.args); got != test.want {
			t.Errorf("%s: status %d, want %d", name, got, test.want)
		}
	}
}
