// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skbpath/skbpath/test/dashboards"
)

// traced is the exemplars of one series, as Prometheus stores them.
type traced struct {
	Series    map[string]string `json:"seriesLabels"`
	Exemplars []struct {
		Labels    map[string]string
		Value     string
		Timestamp float64
	}
}

// leadsToTraces asks for the exemplars of an expression as Grafana does, and
// wants each to be a trace of the made-up traffic.
func (p *server) leadsToTraces(t *testing.T, expression string) error {
	now := time.Now()
	form := url.Values{"query": {expression}, "start": {unix(now.Add(-10 * time.Minute))}, "end": {unix(now.Add(time.Minute))}}
	var all []traced
	if err := p.decode(t, "query_exemplars", form, &all); err != nil {
		return fmt.Errorf("%w: %s", err, expression)
	}
	if len(all) == 0 {
		return fmt.Errorf("no exemplars of %s", expression)
	}
	for _, series := range all {
		if err := series.check(madeUp); err != nil {
			return fmt.Errorf("%v: %w", series.Series, err)
		}
	}
	return nil
}

func madeUp(trace string) bool {
	first := dashboards.TraceID(1)
	id, err := hex.DecodeString(trace)
	return err == nil && len(id) == len(first) && id[0] == first[0]
}

// check wants every exemplar to be within its bucket and of a trace that is known.
func (s *traced) check(known func(trace string) bool) error {
	if len(s.Exemplars) == 0 {
		return errors.New("no exemplars of a series that has some")
	}
	for _, e := range s.Exemplars {
		if len(e.Labels) != 1 || !known(e.Labels["trace_id"]) {
			return fmt.Errorf("no trace in %v", e.Labels)
		}
		value, err := strconv.ParseFloat(e.Value, 64)
		if err != nil {
			return err
		}
		if strings.HasSuffix(s.Series["__name__"], "_total") {
			if value != 1 {
				return fmt.Errorf("one packet counts %v", value)
			}
			continue
		}
		bound, err := strconv.ParseFloat(s.Series["le"], 64)
		if err != nil {
			return err
		}
		if value > bound {
			return fmt.Errorf("%v is in the bucket to %v", value, bound)
		}
	}
	return nil
}

// checkExemplars checks that the exemplars that Prometheus has of real packets lead
// to traces that the real Jaeger has, those of drops to such drops.
func checkExemplars(t *testing.T, dir string) {
	var all []traced
	if err := readAnswer(strings.NewReader(readText(t, dir, "exemplars.json")), &all); err != nil {
		t.Fatal(err)
	}
	traces, names := readTraces(t, dir), make(map[string]int)
	for _, s := range all {
		names[s.Series["__name__"]] += len(s.Exemplars)
		err := s.check(func(trace string) bool {
			tr := traces[trace]
			return tr != nil && (s.Series["reason"] == "" || tr.hasDrop(s.Series))
		})
		if err != nil {
			t.Errorf("%v: %v", s.Series, err)
		}
	}
	for _, name := range []string{
		"skbpath_dropped_packets_total", "skbpath_function_duration_seconds_bucket",
		"skbpath_wait_duration_seconds_bucket", "skbpath_journey_duration_seconds_bucket",
	} {
		if names[name] == 0 {
			t.Errorf("no exemplars of %s", name)
		}
	}
	t.Logf("exemplars: %v", names)
}

// hasDrop reports whether a packet of the trace was dropped as the labels say.
func (tr *trace) hasDrop(labels map[string]string) bool {
	return slices.ContainsFunc(tr.Spans, func(s *span) bool {
		return s.Tags["skbpath.drop.reason"] == labels["reason"] && s.Tags["skbpath.drop.function"] == labels["function"]
	})
}
