// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/skbpath/skbpath/test/dashboards"
)

const dashboardsDir = "../../dashboards"

// TestRules has promtool check the configuration and run the rules' own tests.
func TestRules(t *testing.T) {
	_, promtool := fetchPrometheus(t)
	dir := filepath.Join(dashboardsDir, "prometheus")
	for _, args := range [][]string{
		{"check", "config", "--lint=all", "--lint-fatal", filepath.Join(dir, "prometheus.yml")},
		{"test", "rules", filepath.Join(dir, "alerts_test.yml")},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestDashboards runs every expression of the dashboards and the rules on a real
// Prometheus, which scrapes a real exposition of made-up packets: two quiet
// hours, and then trouble of every kind. Every panel must show something, its
// exemplars included, and every alert be pending.
func TestDashboards(t *testing.T) {
	prometheus, promtool := fetchPrometheus(t)
	traffic := dashboards.NewTraffic()
	target := listenLocal(t)
	p := newServer(t, prometheus, promtool, target.Addr().String(), closedPort(t))
	p.remember(t, quietHours(t, traffic, target.Addr().String()))
	serveTrouble(t, traffic, target)
	p.start(t)

	all, err := dashboards.All(dashboardsDir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 60 {
		t.Errorf("only %d expressions found", len(all))
	}
	deadline := time.Now().Add(time.Minute)
	for _, e := range all {
		text := dashboards.Substitute(e.Text, "10s", "1h", "ip_rcv")
		await(t, deadline, e.Where, func() error { return p.shows(t, text) })
		if e.Exemplar {
			await(t, deadline, e.Where, func() error { return p.leadsToTraces(t, text) })
		}
	}
	drops := `rate(skbpath_dropped_packets_total{reason="NETFILTER_DROP"}[1m])`
	await(t, deadline, "drops", func() error { return p.leadsToTraces(t, drops) })
	await(t, deadline, "rules", func() error { return p.alerts(t, all) })
}

// serveTrouble answers scrapes at target. At each of them, packets have become a
// thousand times slower, many were dropped, and something was lost.
func serveTrouble(t *testing.T, traffic *dashboards.Traffic, target net.Listener) {
	scrape := promhttp.HandlerFor(traffic.Registry(), promhttp.HandlerOpts{EnableOpenMetrics: true})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		traffic.Pass(100, 10*time.Millisecond)
		traffic.Drop(1000, "NETFILTER_DROP", "nft_do_chain", "tcp", "eth0")
		traffic.Drop(10, "QDISC_DROP", "__dev_queue_xmit", "tcp", "eth0")
		traffic.Lose(10)
		scrape.ServeHTTP(w, r)
	}))
	if err := server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	server.Listener = target
	server.Start()
	t.Cleanup(server.Close)
}

// shows wants at least one number in answer to an expression.
func (p *server) shows(t *testing.T, expression string) error {
	var samples []sample
	if err := p.ask(t, "query", expression, &samples); err != nil {
		return err
	}
	for _, s := range samples {
		if !math.IsNaN(float64(s.Value)) {
			return nil
		}
	}
	return fmt.Errorf("%d series and no number in them: %s", len(samples), expression)
}

// alerts wants every rule to be healthy and every alert to be pending or firing.
func (p *server) alerts(t *testing.T, all []dashboards.Expression) error {
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State, Type string }
		}
	}
	if err := p.get(t, "rules", &answer); err != nil {
		return err
	}
	states := make(map[string]string)
	for _, g := range answer.Groups {
		for _, r := range g.Rules {
			states[r.Name] = r.State
			if r.Health != "ok" {
				return fmt.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	for _, e := range all {
		if e.Rule == nil {
			continue
		}
		state, evaluated := states[e.Rule.Record+e.Rule.Alert]
		if !evaluated || e.Rule.Alert != "" && state != "pending" && state != "firing" {
			return fmt.Errorf("%s is %q, want it pending", e.Where, state)
		}
	}
	return nil
}

// await tries until there is no error, or until the deadline, which is shared.
func await(t *testing.T, deadline time.Time, what string, try func() error) {
	t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %v", what, err)
			return
		}
		<-again.C
	}
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// closedPort is an address at which nobody answers.
func closedPort(t *testing.T) string {
	t.Helper()
	l := listenLocal(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// copyRules copies the rules, to be evaluated every second: a minute is long for
// a test.
func copyRules(t *testing.T, to string) {
	t.Helper()
	for _, name := range []string{"recording.yml", "alerts.yml"} {
		text := readText(t, dashboardsDir, "prometheus", name)
		quick := strings.ReplaceAll(text, "interval: 1m", "interval: 1s")
		if quick == text {
			t.Errorf("%s has no interval of a minute to shorten", name)
		}
		if err := os.WriteFile(filepath.Join(to, name), []byte(quick), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
