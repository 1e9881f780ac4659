// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/skbpath/skbpath/test/dashboards"
)

// past is what Prometheus would have scraped, in the format of OpenMetrics.
type past struct {
	start, end time.Time
	text       bytes.Buffer
}

// quietHours lets packets pass for two hours that end a minute ago, and scrapes
// every minute. One kind of drop ends ten minutes before all the others.
func quietHours(t *testing.T, traffic *dashboards.Traffic, instance string) *past {
	t.Helper()
	const minutes = 120
	end := time.Now().Add(-time.Minute).Truncate(time.Second)
	p := &past{start: end.Add(-minutes * time.Minute), end: end}
	registry := traffic.Registry()
	for m := range minutes + 1 {
		traffic.Pass(60, 10*time.Microsecond)
		traffic.Drop(6, "NO_SOCKET", "udp_rcv", "udp", "")
		if m < minutes-10 {
			traffic.Drop(60, "UDP_CSUM", "udp_rcv", "udp", "eth1")
		}
		p.scrape(t, registry, instance, p.start.Add(time.Duration(m)*time.Minute))
	}
	p.text.WriteString("# EOF\n")
	return p
}

// scrape adds the series of skbpath as Prometheus would label them.
func (p *past) scrape(t *testing.T, registry *prometheus.Registry, instance string, at time.Time) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "skbpath_") {
			if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, labelled := strings.Cut(strings.TrimSpace(line), "{")
		if !labelled {
			t.Fatalf("a series without labels: %s", line)
		}
		fmt.Fprintf(&p.text, "%s{job=\"skbpath\",instance=%q,%s %d\n", name, instance, rest, at.Unix())
	}
}
