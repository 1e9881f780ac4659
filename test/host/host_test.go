// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package host runs the whole binary on the running kernel, with the source
// that every kernel has: raw tracepoints.
package host

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	left    = "skbpath-host-a"
	right   = "skbpath-host-b"
	patient = 20 * time.Second // for anything that takes a moment
)

// journey is as much of a line of --print=json as these tests look at.
type journey struct {
	Outcome string
	Drop    *struct{ Reason, Subsystem, Function string }
	Flow    struct {
		Transport   string
		Source      struct{ Address string }
		Destination struct {
			Address string
			Port    int
		}
	}
	Hops  []struct{ Function string }
	Waits []struct{ From, To string }
}

func (j *journey) visits(function string) bool {
	for _, h := range j.Hops {
		if h.Function == function {
			return true
		}
	}
	return false
}

func TestTracepoints(t *testing.T) {
	binary := require(t)
	namespaces(t)
	s := start(t, binary, "--probe.source=tracepoints", "net 192.0.2.0/24")
	netns(t, left, "ping", "-c", "1", "-W", "5", "192.0.2.2")
	netns(t, left, "bash", "-c", "echo lost >/dev/udp/192.0.2.2/9")

	echo := s.await(t, "the echo request", func(j *journey) bool {
		return j.Flow.Transport == "icmp" && j.Flow.Destination.Address == "192.0.2.2" && j.visits("net:netif_receive_skb")
	})
	if !echo.visits("net:net_dev_start_xmit") {
		t.Errorf("the echo request was not seen leaving: %+v", echo.Hops)
	}
	if w := echo.Waits; len(w) != 1 || w[0].From != "net:netif_rx" || w[0].To != "net:netif_receive_skb" {
		t.Errorf("the echo request waits %+v", w)
	}
	dropped := s.await(t, "the dropped packet", func(j *journey) bool { return j.Outcome == "dropped" && j.Flow.Destination.Port == 9 })
	if dropped.Drop == nil || dropped.Drop.Reason != "NETFILTER_DROP" || dropped.Drop.Subsystem != "core" || dropped.Drop.Function == "" {
		t.Errorf("dropped with %+v, want NETFILTER_DROP of core somewhere", dropped.Drop)
	}
	s.awaitMetric(t, `skbpath_dropped_packets_total\{.*protocol="udp",reason="NETFILTER_DROP".*\} [1-9]`)
	s.awaitMetric(t, `skbpath_wait_duration_seconds_count\{from="net:netif_rx",to="net:netif_receive_skb"\} [1-9]`)
	s.stop(t)
}

// require returns the binary, or skips where the kernel does not let it run.
func require(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("SKBPATH_BINARY")
	if binary == "" {
		binary = "../../bin/skbpath"
	}
	binary, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: run \"make build\" first", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: not root: nothing can be attached to this kernel")
	}
	answers(t, binary)
	return binary
}

// answers skips if this kernel never answers a call to load a program. That
// happens: on 6.18 the freeing of very many programs at once leaves the JIT's
// lock taken for good, and who asks for it cannot even be killed. So the
// question is put by a process that can be left behind, with nothing of ours
// open.
func answers(t *testing.T, binary string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "check"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	check := exec.Command(binary, "--check", "--probe.source=tracepoints")
	check.Stdout, check.Stderr = out, out
	if err := check.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- check.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			text, _ := os.ReadFile(out.Name())
			t.Fatalf("skbpath --check: %v\n%s", err, text)
		}
	case <-time.After(patient):
		_ = check.Process.Kill()
		t.Skipf("SKIPPED: this kernel has not answered a bpf() call for %v", patient)
	}
}

// namespaces makes two network namespaces with a veth pair; one drops UDP to
// port 9.
func namespaces(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		for _, name := range []string{left, right} {
			_ = exec.Command("ip", "netns", "delete", name).Run()
		}
	})
	for _, line := range []string{
		"ip netns add " + left,
		"ip netns add " + right,
		"ip -n " + left + " link add veth0 type veth peer name veth0 netns " + right,
		"ip -n " + left + " address add 192.0.2.1/24 dev veth0",
		"ip -n " + right + " address add 192.0.2.2/24 dev veth0",
		"ip -n " + left + " link set veth0 up",
		"ip -n " + right + " link set veth0 up",
		"ip netns exec " + right + " nft add table inet t",
		"ip netns exec " + right + " nft add chain inet t in { type filter hook input priority 0; }",
		"ip netns exec " + right + " nft add rule inet t in udp dport 9 drop",
	} {
		command(t, strings.Fields(line)...)
	}
}

func netns(t *testing.T, name string, words ...string) {
	t.Helper()
	command(t, append([]string{"ip", "netns", "exec", name}, words...)...)
}

func command(t *testing.T, words ...string) {
	t.Helper()
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

// skbpath is a running instance.
type skbpath struct {
	process *exec.Cmd
	lines   chan *journey
	url     string
	log     string
	ready   string
}

// start runs the binary until everything is attached.
func start(t *testing.T, binary string, args ...string) *skbpath {
	t.Helper()
	dir := t.TempDir()
	ready, log := filepath.Join(dir, "ready"), filepath.Join(dir, "log")
	logFile, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer logFile.Close()
	args = append([]string{"--print=json", "--ready-file=" + ready, "--web.listen-address=127.0.0.1:0"}, args...)
	process := exec.Command(binary, args...)
	process.Stderr = logFile
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill() })
	s := &skbpath{process: process, lines: make(chan *journey, 4096), log: log, ready: ready}
	go decode(out, s.lines)
	await(t, "the ready file", func() bool { _, err := os.Stat(ready); return err == nil })
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`metrics=(\S+)`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("the log does not say where the metrics are:\n%s", text)
	}
	s.url = string(found[1])
	return s
}

func decode(out io.Reader, lines chan<- *journey) {
	defer close(lines)
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		j := new(journey)
		if json.Unmarshal(scanner.Bytes(), j) == nil {
			lines <- j
		}
	}
}

// await returns the first journey that fits.
func (s *skbpath) await(t *testing.T, what string, fits func(*journey) bool) *journey {
	t.Helper()
	timeout := time.After(patient)
	for {
		select {
		case j, open := <-s.lines:
			if !open {
				t.Fatalf("skbpath ended before %s", what)
			}
			if fits(j) {
				return j
			}
		case <-timeout:
			t.Fatalf("no journey is %s", what)
		}
	}
}

func (s *skbpath) awaitMetric(t *testing.T, pattern string) {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	await(t, "a metric like "+pattern, func() bool {
		answer, err := http.Get(s.url)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return err == nil && expression.Match(text)
	})
}

// stop ends skbpath as a service manager does and wants it to end well.
func (s *skbpath) stop(t *testing.T) {
	t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range s.lines {
	}
	if err := s.process.Wait(); err != nil {
		text, _ := os.ReadFile(s.log)
		t.Errorf("after SIGTERM: %v\n%s", err, text)
	}
	if _, err := os.Stat(s.ready); err == nil {
		t.Error("the ready file is still there")
	}
}

// await polls until done, at most patient.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(patient)
	for !done() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("not within %v: %s", patient, what)
		}
	}
}
