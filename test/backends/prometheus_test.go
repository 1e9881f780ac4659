// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// sample is one element of an instant vector.
type sample struct {
	Labels map[string]string `json:"metric"`
	Value  value             `json:"value"`
}

// value is a sample's value, which Prometheus writes beside its time.
type value float64

func (v *value) UnmarshalJSON(data []byte) error {
	var at float64
	var text string
	if err := json.Unmarshal(data, &[]any{&at, &text}); err != nil {
		return err
	}
	f, err := strconv.ParseFloat(text, 64)
	*v = value(f)
	return err
}

// readAnswer reads the data of an answer of Prometheus' API, which must have
// nothing to complain of.
func readAnswer(r io.Reader, data any) error {
	var all struct {
		Status, Error   string
		Warnings, Infos []string
		Data            json.RawMessage
	}
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		return err
	}
	if all.Status != "success" || len(all.Warnings)+len(all.Infos) > 0 {
		return fmt.Errorf("%s %s %q %q", all.Status, all.Error, all.Warnings, all.Infos)
	}
	return json.Unmarshal(all.Data, data)
}

// answered returns what Prometheus answered to a query of guest.sh.
func answered(t *testing.T, dir, name string) []sample {
	t.Helper()
	var data struct{ Result []sample }
	text := readText(t, dir, "queries", name+".json")
	if err := readAnswer(strings.NewReader(text), &data); err != nil {
		t.Fatalf("query %s: %v in %q", name, err, text)
	}
	return data.Result
}

// single is the value of a query that has one.
func single(t *testing.T, dir, name string) float64 {
	t.Helper()
	result := answered(t, dir, name)
	if len(result) != 1 {
		t.Errorf("query %s has %d results, want one: %v", name, len(result), result)
		return -1
	}
	return float64(result[0].Value)
}

// checkPrometheus checks what Prometheus says about the run of one protocol.
func checkPrometheus(t *testing.T, dir string) {
	for name, want := range map[string]float64{
		"up": 1, "build": 1,
		// The least is 0, which no scrape has seen: by the created timestamp.
		"drops": dropped, "drops_since": 5, "drops_least": 0,
		"calls": 2 * arriving, "largest": 2 * arriving, // requests and replies
		"wait": 2*arriving + dropped,
	} {
		if got := single(t, dir, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if lost := answered(t, dir, "lost"); len(lost) > 0 {
		t.Errorf("skbpath lost something: %v", lost)
	}
	checkDropLabels(t, dir)
	checkJourneyCounts(t, dir)
	checkEstimates(t, dir)
}

func checkDropLabels(t *testing.T, dir string) {
	for _, s := range answered(t, dir, "drops") {
		function := s.Labels["function"]
		want := map[string]string{
			"reason": "NETFILTER_DROP", "subsystem": "core", "function": function, "protocol": "icmp", "interface": "vb",
		}
		if fmt.Sprint(s.Labels) != fmt.Sprint(want) || function != "nft_do_chain" && function != "nf_hook_slow" {
			t.Errorf("drops are labelled %v, want %v", s.Labels, want)
		}
	}
}

// checkJourneyCounts compares with what the same skbpath printed.
func checkJourneyCounts(t *testing.T, dir string) {
	want := map[string]int{"delivered": 0, "transmitted": 0, "dropped": 0, "consumed": 0, "absorbed": 0, "expired": 0}
	for _, j := range readJourneys(t, dir) {
		want[j.Outcome]++
	}
	got := make(map[string]int)
	for _, s := range answered(t, dir, "journeys") {
		got[s.Labels["outcome"]] = int(s.Value)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || got["dropped"] != dropped {
		t.Errorf("journeys_total is %v, want %v with %d dropped", got, want, dropped)
	}
}

// checkEstimates checks what is exact in no system: rates, which Prometheus
// extrapolates to the ends of their window, and durations.
func checkEstimates(t *testing.T, dir string) {
	for name, limits := range map[string][2]float64{
		"drops_increase": {5, 15},
		"drops_rate":     {0.1, 10},
		"buckets":        {5, 50},
		"quantile":       {1e-7, 1},
		"attached":       {500, 10000},
		"scrape":         {1e-4, 1},
	} {
		if got := single(t, dir, name); !(got >= limits[0] && got <= limits[1]) {
			t.Errorf("%s is %v, want something in %v", name, got, limits)
		}
	}
}

// checkMetrics has promtool check the text of /metrics.
func checkMetrics(t *testing.T, dir, promtool string) {
	text, err := os.Open(filepath.Join(dir, "metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = text
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
