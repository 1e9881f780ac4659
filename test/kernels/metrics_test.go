// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// families are the metrics of a scrape, by name.
type families map[string]*dto.MetricFamily

func parseMetrics(t *testing.T, file string) families {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return found
}

// dropCount is what skbpath_dropped_packets_total must say of one place.
type dropCount struct {
	place            drop // Function may name alternatives: a|b
	protocol, device string
	packets          float64
}

func (d *dropCount) check(t *testing.T, metrics families) {
	t.Helper()
	found := 0
	for _, m := range metrics["skbpath_dropped_packets_total"].GetMetric() {
		l := labels(m)
		if l["reason"] != d.place.Reason || l["protocol"] != d.protocol || l["interface"] != d.device || !matches(d.place.Function, l["function"]) {
			continue
		}
		found++
		if len(l) != 5 || l["subsystem"] != d.place.Subsystem {
			t.Errorf("labels %v, want %+v", l, *d)
		}
		if got := m.GetCounter().GetValue(); got != d.packets {
			t.Errorf("%v: %v packets, want %v", l, got, d.packets)
		}
	}
	if found != 1 {
		t.Errorf("%d series for %+v, want one", found, *d)
	}
}

func labels(m *dto.Metric) map[string]string {
	all := make(map[string]string)
	for _, l := range m.GetLabel() {
		all[l.GetName()] = l.GetValue()
	}
	return all
}

// checkLosses: nothing that this little traffic can cause is lost. What could be
// is in the help of the metric and in a row of docs/limits.md.
func checkLosses(t *testing.T, metrics families) {
	t.Helper()
	family := metrics["skbpath_lost_total"]
	if len(family.GetMetric()) == 0 {
		t.Error("no skbpath_lost_total")
	}
	limits := readText(t, filepath.Join("..", "..", "docs", "limits.md"))
	for _, m := range family.GetMetric() {
		lost := labels(m)
		if m.GetCounter().GetValue() != 0 && lost["cause"] != "recursion" { // which repeatDisturbed looks at
			t.Errorf("lost %v: %v", lost, m.GetCounter().GetValue())
		}
		if !regexp.MustCompile(`[( ]` + lost["what"] + `\b`).MatchString(family.GetHelp()) {
			t.Errorf("the help does not know %v: %s", lost, family.GetHelp())
		}
		if !hasRow(limits, lost["what"], lost["cause"]) {
			t.Errorf("docs/limits.md has no row for %v", lost)
		}
	}
}

// hasRow reports whether a row of the table begins with what, and the cause, in
// which a sink goes by its kind.
func hasRow(table, what, cause string) bool {
	cause = regexp.MustCompile(`^[a-z]+_(queue_full|export_failed|shutdown)$`).ReplaceAllString(cause, "<sink>_$1")
	row := regexp.MustCompile("(?m)^\\| " + what + ", ([^|]*, )?`?" + cause + "`?[ ,]")
	return row.MatchString(table)
}
