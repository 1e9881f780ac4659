// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"os"
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
		if l["reason"] != d.place.Reason || l["protocol"] != d.protocol || l["interface"] != d.device {
			continue
		}
		found++
		if len(l) != 5 || l["subsystem"] != d.place.Subsystem || !matches(d.place.Function, l["function"]) {
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

// checkLosses: nothing that this little traffic can cause is lost.
func checkLosses(t *testing.T, metrics families) {
	t.Helper()
	lost := metrics["skbpath_lost_total"].GetMetric()
	if len(lost) == 0 {
		t.Error("no skbpath_lost_total")
	}
	for _, m := range lost {
		if m.GetCounter().GetValue() != 0 {
			t.Errorf("lost %v: %v", labels(m), m.GetCounter().GetValue())
		}
	}
}
