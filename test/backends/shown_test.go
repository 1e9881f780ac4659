// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/dashboards"
)

// shownJob is the run whose real packets the dashboards and rules are asked about.
const shownJob = "http"

// expressions returns all of the dashboards and rules, for that run.
func expressions(t *testing.T) []dashboards.Expression {
	t.Helper()
	all, err := dashboards.All(dashboardsDir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].Text = ofShownJob(dashboards.Substitute(all[i].Text, "1m", "1h", "icmp_rcv"))
	}
	return all
}

func ofShownJob(text string) string {
	return strings.ReplaceAll(text, `job="skbpath"`, `job="`+shownJob+`"`)
}

// guestRules writes what Prometheus in the guest needs of the rules, and what
// guest.sh is to ask: a number and an expression, as a form has it, a line.
func guestRules(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	copyRules(t, dir)
	alerts := filepath.Join(dir, "alerts.yml")
	if err := os.WriteFile(alerts, []byte(ofShownJob(readText(t, alerts))), 0o644); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i, e := range expressions(t) {
		fmt.Fprintf(&lines, "%d %s\n", i, url.QueryEscape(e.Text))
	}
	if err := os.WriteFile(filepath.Join(dir, "expressions"), []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// quiet are expressions that a minute of pings and a few drops must leave empty:
// they ask for what was hours ago, for losses, or for more than that.
func quiet(where string) bool {
	return slices.Contains([]string{
		"drops.json: Top movers: B", "exporter-health.json: Alerts: A", "exporter-health.json: Losses, by what and why: A",
		"path-latency.json: Mean time of the functions that slowed down most: A",
		"rule SkbpathDropRatioHigh", "rule SkbpathNewDropReason", "rule SkbpathFunctionSlower", "rule SkbpathWaitGrowing",
		"rule SkbpathLosingData", "rule SkbpathDown",
	}, where) || strings.HasSuffix(where, ": annotation Alerts")
}

// checkShown: every expression has the series that the packets imply.
func checkShown(t *testing.T, dir string) {
	for i, e := range expressions(t) {
		var data struct{ Result []sample }
		text := readText(t, dir, "shown", fmt.Sprintf("%d.json", i))
		if err := readAnswer(strings.NewReader(text), &data); err != nil {
			t.Errorf("%s: %v in %q", e.Where, err, text)
			continue
		}
		if quiet(e.Where) != (len(data.Result) == 0) {
			t.Errorf("%s: %d series, of packets that should show: %t", e.Where, len(data.Result), !quiet(e.Where))
		}
		if strings.Contains(e.Text, "topk(15") {
			continue // which functions are first, nobody knows
		}
		if missing := implied(data.Result); missing != "" {
			t.Errorf("%s: no series of %s in %v", e.Where, missing, data.Result)
		}
	}
}

// implied returns what one of the series should have, and none has: of each label
// that they have, the value that the packets of guest.sh must have led to.
func implied(series []sample) string {
	for label, values := range map[string][]string{
		"reason": {"NETFILTER_DROP"}, "function": {"nft_do_chain", "nf_hook_slow", "icmp_rcv"}, "protocol": {"icmp"}, "interface": {"vb"},
		"outcome": {"dropped"}, "from": {"enqueue_to_backlog"}, "to": {"__netif_receive_skb"}, "queue": {"backlog"},
		"le": {"+Inf"}, "state": {"attached"}, "what": {"journey"}, "sink": {"otlp"},
	} {
		there := false
		found := slices.ContainsFunc(series, func(s sample) bool {
			value, ok := s.Labels[label]
			there = there || ok
			return slices.Contains(values, value)
		})
		if there && !found {
			return label + "=" + strings.Join(values, "|")
		}
	}
	return ""
}
