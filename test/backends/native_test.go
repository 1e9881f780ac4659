// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/skbpath/skbpath/test/dashboards"
)

// TestNativeHistograms has a real Prometheus make native histograms, of custom
// buckets, of the classic ones: each is there as a whole, and the classic are too.
func TestNativeHistograms(t *testing.T) {
	prometheus, promtool := fetchPrometheus(t)
	traffic := dashboards.NewTraffic()
	const packets, pace = 100, 10 * time.Microsecond
	traffic.Pass(packets, pace)
	target := httptest.NewServer(promhttp.HandlerFor(traffic.Registry(), promhttp.HandlerOpts{EnableOpenMetrics: true}))
	t.Cleanup(target.Close)
	p := newServer(t, prometheus, promtool, strings.TrimPrefix(target.URL, "http://"))
	// What docs/metrics.md tells of.
	const job = "  - job_name: skbpath"
	config := strings.Replace(readText(t, p.config()), job,
		"  - convert_classic_histograms_to_nhcb: true\n    always_scrape_classic_histograms: true\n    job_name: skbpath", 1)
	if err := os.WriteFile(p.config(), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	p.start(t, "native-histograms")
	const visits = `{function="__netif_receive_skb"}` // two of the kinds of packets
	deadline := time.Now().Add(30 * time.Second)
	for expression, want := range map[string]float64{
		"histogram_count(skbpath_function_duration_seconds" + visits + ")": 2 * packets,
		"histogram_sum(skbpath_function_duration_seconds" + visits + ")":   2 * packets * pace.Seconds(),
		"skbpath_function_duration_seconds_count" + visits:                 2 * packets,
		// Between the bounds around 10 µs, whatever is taken for their middle.
		"histogram_fraction(8.192e-6, 16.384e-6, skbpath_function_duration_seconds" + visits + ")": 1,
	} {
		await(t, deadline, expression, func() error {
			var samples []sample
			if err := p.ask(t, "query", expression, &samples); err != nil {
				return err
			}
			if len(samples) != 1 || fmt.Sprintf("%.6g", samples[0].Value) != fmt.Sprintf("%.6g", want) {
				return fmt.Errorf("%v, want %v", samples, want)
			}
			return nil
		})
	}
}
