// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
)

const documentHead = `# Metrics

Written by ` + "`UPDATE_GOLDEN=1 go test -run TestDocument ./pkg/export/prom`" + ` from the code; a test fails when it is stale.

Beside these, /metrics has what every Prometheus exporter in Go has: ` + "`process_*`" + ` of the process, ` + "`go_*`" + ` of its runtime,
` + "`promhttp_*`" + ` of its scrapes. No label ever holds an address, a port, a pid or a namespace.

Histograms are classic: ` + "`_bucket`" + `, ` + "`_sum`" + ` and ` + "`_count`" + `, with bounds in seconds.
Prometheus stores them as native ones too with ` + "`convert_classic_histograms_to_nhcb`" + ` and ` + "`always_scrape_classic_histograms`" + `
in the job (3.5 also wants ` + "`--enable-feature=native-histograms`" + `); dashboards and rules ask for the classic.
[dashboards/](../dashboards) has dashboards and rules for all of them, [the runbook](runbook.md) what an alert wants of you.

| metric | type | labels | unit |
|---|---|---|---|
`

// TestDocument: docs/metrics.md is what a scrape says about itself.
func TestDocument(t *testing.T) {
	c := collector(kernel())
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c, BuildInfo())
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(c.all()) + 1; len(families) != want {
		t.Errorf("%d metrics are in the scrape, %d are described: the document would not be complete", len(families), want)
	}
	var table, text strings.Builder
	for _, f := range families {
		fmt.Fprintf(&table, "| [`%s`](#%[1]s) | %s | %s | %s |\n", f.GetName(), kind(f), labelNames(f), unit(f))
		fmt.Fprintf(&text, "\n## %s\n\n%s\n", f.GetName(), f.GetHelp())
	}
	exporttest.Golden(t, "../../../../docs/metrics.md", documentHead+table.String()+text.String())
}

func kind(f *dto.MetricFamily) string { return strings.ToLower(f.GetType().String()) }

func labelNames(f *dto.MetricFamily) string {
	var names []string
	for _, l := range f.GetMetric()[0].GetLabel() {
		names = append(names, "`"+l.GetName()+"`")
	}
	return strings.Join(names, ", ")
}

// unit is what the description says, else what the name does.
func unit(f *dto.MetricFamily) string {
	for _, u := range []string{"bytes", "packets"} {
		if strings.HasSuffix(f.GetName(), "_"+u+"_total") {
			return u
		}
	}
	return cmp.Or(f.GetUnit(), "–")
}
