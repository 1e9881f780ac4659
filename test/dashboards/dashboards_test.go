// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

const (
	root = "../.."
	dir  = root + "/dashboards"

	// published is where the files of the repository can be read.
	published = "https://github.com/skbpath/skbpath/blob/main/"
)

func dashboardFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%d dashboards, want 3 (%v)", len(files), err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestJSONIsCanonical: keys in order of the alphabet and an indent of two
// spaces, so that a change shows as itself. UPDATE_GOLDEN=1 writes it so.
func TestJSONIsCanonical(t *testing.T) {
	for _, file := range dashboardFiles(t) {
		text := read(t, file)
		in := json.NewDecoder(strings.NewReader(text))
		in.UseNumber()
		var tree any
		if err := in.Decode(&tree); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var want bytes.Buffer
		out := json.NewEncoder(&want)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		if err := out.Encode(tree); err != nil {
			t.Fatal(err)
		}
		if text == want.String() {
			continue
		}
		if os.Getenv("UPDATE_GOLDEN") != "1" {
			t.Errorf("%s is not as UPDATE_GOLDEN=1 would write it", file)
		} else if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPanels: each says what it is and what it shows, and lies beside the
// others.
func TestPanels(t *testing.T) {
	uids := make(map[string]bool)
	for _, file := range dashboardFiles(t) {
		d, err := readDashboard(file)
		if err != nil {
			t.Fatal(err)
		}
		if uids[d.UID] || d.UID == "" || d.Title == "" {
			t.Errorf("%s: uid %q, title %q", file, d.UID, d.Title)
		}
		uids[d.UID] = true
		for i, p := range d.Panels {
			if p.ID != i+1 {
				t.Errorf("%s: panel %d has the id %d", file, i+1, p.ID)
			}
			if p.Title == "" || p.Type != "row" && p.Description == "" {
				t.Errorf("%s: panel %d has no title or no description", file, p.ID)
			}
			for _, other := range d.Panels[:i] {
				if overlap(p, other) {
					t.Errorf("%s: %q lies over %q", file, p.Title, other.Title)
				}
			}
		}
	}
}

func overlap(p, q panel) bool {
	a, b := p.GridPos, q.GridPos
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H || a.X+a.W > 24
}

// TestExemplarsAreOn wherever a panel shows over time what carries some:
// histograms, and the counter of drops.
func TestExemplarsAreOn(t *testing.T) {
	on := 0
	for _, file := range dashboardFiles(t) {
		d, err := readDashboard(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				overTime := p.Type == "timeseries" || p.Type == "heatmap"
				carries := strings.Contains(q.Expr, "_bucket") || strings.Contains(q.Expr, "skbpath_dropped_packets_total")
				if (overTime && carries) != q.Exemplar {
					t.Errorf("%s: %s: exemplars %t", file, p.Title, q.Exemplar)
				}
				if q.Exemplar {
					on++
				}
			}
		}
	}
	if on < 15 {
		t.Errorf("exemplars in %d queries only", on)
	}
}

// scrape returns everything that skbpath exports once packets have come by.
func scrape(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	traffic := NewTraffic()
	traffic.Drop(1, "NO_SOCKET", "udp_rcv", "udp", "eth0")
	traffic.Pass(1, time.Microsecond)
	families, err := traffic.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// exported returns the names that a scrape has, those of histograms with their
// parts, and those that Prometheus adds to each scrape.
func exported(t *testing.T) (names map[string]bool, families []string) {
	t.Helper()
	names = map[string]bool{"up": true, "ALERTS": true, "scrape_duration_seconds": true, "scrape_samples_scraped": true}
	for _, f := range scrape(t) {
		families = append(families, f.GetName())
		names[f.GetName()] = true
		if f.GetType().String() == "HISTOGRAM" {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				names[f.GetName()+part] = true
			}
		}
	}
	return names, families
}

// metricName is a word that can only be the name of a metric, ours or a rule's.
var metricName = regexp.MustCompile(`(?:[a-z_]+:)?\b(?:skbpath|process|go|promhttp|scrape)_[a-z0-9_]*[a-z0-9](?::[a-z0-9_]+)?`)

// TestNamesAreExported: every metric that a dashboard, a rule, a configuration
// or a document names is one that skbpath exports or a rule records.
func TestNamesAreExported(t *testing.T) {
	known, _ := exported(t)
	rules, err := Rules(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		known[r.Record] = true
	}
	files := []string{root + "/README.md", dir + "/grafana/datasources.yml", dir + "/prometheus/alerts_test.yml"}
	documents, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, documents...) {
		for _, name := range metricName.FindAllString(read(t, file), -1) {
			if !strings.Contains(name, "skbpath_") {
				continue // process_backlog is a function
			}
			found++
			if !known[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
	all, err := All(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names := metricName.FindAllString(e.Text, -1)
		found += len(names)
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s: there is no metric %s", e.Where, name)
			}
		}
		if len(names) == 0 && !regexp.MustCompile(`\b(up|ALERTS)\b`).MatchString(e.Text) {
			t.Errorf("%s: no metric in %q", e.Where, e.Text)
		}
	}
	if found < 150 {
		t.Errorf("only %d names found", found)
	}
}

// TestMetricsAreUsed: every metric of skbpath's own is in a document, and in a
// dashboard or a rule.
func TestMetricsAreUsed(t *testing.T) {
	_, families := exported(t)
	all, err := All(dir)
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, e := range all {
		for _, name := range metricName.FindAllString(e.Text, -1) {
			used = append(used, regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, ""))
		}
	}
	document, readme := read(t, root+"/docs/metrics.md"), read(t, root+"/README.md")
	own := 0
	for _, name := range families {
		if !strings.HasPrefix(name, "skbpath_") {
			continue
		}
		own++
		if !slices.Contains(used, name) {
			t.Errorf("%s is in no dashboard and no rule", name)
		}
		if !strings.Contains(document, "## "+name+"\n") || !strings.Contains(readme, "`"+name) {
			t.Errorf("%s is not in docs/metrics.md and README.md", name)
		}
	}
	if own < 10 {
		t.Errorf("only %d metrics are our own", own)
	}
}

// TestRunbook: every alert leads to a paragraph of its own, and every paragraph
// has its alert.
func TestRunbook(t *testing.T) {
	rules, err := Rules(dir)
	if err != nil {
		t.Fatal(err)
	}
	var alerts []string
	for _, r := range rules {
		if r.Alert == "" {
			continue
		}
		alerts = append(alerts, r.Alert)
		if want := published + "docs/runbook.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
			t.Errorf("%s has no summary, no description or no severity", r.Alert)
		}
		if tested := read(t, dir+"/prometheus/alerts_test.yml"); strings.Count(tested, "alertname: "+r.Alert+"\n") == 0 {
			t.Errorf("%s is never seen to fire in alerts_test.yml", r.Alert)
		}
	}
	var paragraphs []string
	for _, heading := range regexp.MustCompile(`(?m)^## (Skbpath\w+)\n\n\S`).FindAllStringSubmatch(read(t, root+"/docs/runbook.md"), -1) {
		paragraphs = append(paragraphs, heading[1])
	}
	if len(alerts) < 6 || !slices.Equal(paragraphs, alerts) {
		t.Errorf("the runbook has paragraphs on %v, the alerts are %v", paragraphs, alerts)
	}
}
