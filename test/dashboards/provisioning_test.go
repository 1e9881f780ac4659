// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
)

// TestExemplarsLeadToTraces: the label that exemplars carry leads to data
// sources that are there.
func TestExemplarsLeadToTraces(t *testing.T) {
	var sources struct {
		Datasources []struct {
			UID, Type string
			JSONData  struct {
				ManageAlerts bool `yaml:"manageAlerts"`
				Exemplars    []struct {
					Name string
					UID  string `yaml:"datasourceUid"`
				} `yaml:"exemplarTraceIdDestinations"`
			} `yaml:"jsonData"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, dir+"/grafana/datasources.yml")), &sources); err != nil {
		t.Fatal(err)
	}
	types := make(map[string]string)
	for _, s := range sources.Datasources {
		types[s.UID] = s.Type
	}
	for _, s := range sources.Datasources {
		if s.Type != "prometheus" {
			continue
		}
		if !s.JSONData.ManageAlerts {
			t.Error("Grafana would not show the alerts of Prometheus")
		}
		var leads []string
		for _, e := range s.JSONData.Exemplars {
			if e.Name != "trace_id" {
				t.Errorf("exemplars carry trace_id, not %s", e.Name)
			}
			leads = append(leads, types[e.UID])
		}
		if got := strings.Join(leads, " "); got != "tempo jaeger" {
			t.Errorf("exemplars lead to %q", got)
		}
	}
}

// TestLinksLeadToTraces: a link that a panel has to Explore is a query that
// Grafana can read, for an attribute that spans have.
func TestLinksLeadToTraces(t *testing.T) {
	link := regexp.MustCompile(`"url": "/explore\?([^"]+)"`)
	attribute := regexp.MustCompile(`skbpath\.[a-z.]*[a-z]`)
	attributes := read(t, root+"/README.md")
	kinds := make(map[string]int)
	for _, file := range dashboardFiles(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			form, err := url.ParseQuery(m[1])
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var panes map[string]struct {
				Datasource string
				Queries    []struct{ Query, Tags string }
			}
			if err := json.Unmarshal([]byte(form.Get("panes")), &panes); err != nil {
				t.Fatalf("%s: %v in %s", file, err, form.Get("panes"))
			}
			for _, p := range panes {
				kinds[p.Datasource]++
				name := attribute.FindString(p.Queries[0].Query + p.Queries[0].Tags)
				if name == "" || !strings.Contains(attributes, "`"+name+"`") {
					t.Errorf("%s: no attribute of spans in %+v", file, p.Queries)
				}
			}
		}
	}
	if kinds["${tempo}"] == 0 || kinds["${tempo}"] != kinds["${jaeger}"] {
		t.Errorf("links lead to %v", kinds)
	}
}

// TestGrafanaGetsTheDashboards: compose mounts each where the provider looks.
func TestGrafanaGetsTheDashboards(t *testing.T) {
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	if err := yaml.Unmarshal([]byte(read(t, dir+"/grafana/dashboards.yml")), &providers); err != nil {
		t.Fatal(err)
	}
	compose := read(t, root+"/docker-compose.yaml")
	for _, file := range dashboardFiles(t) {
		name := filepath.Base(file)
		if mount := "./dashboards/" + name + ":" + providers.Providers[0].Options.Path + "/" + name + ":ro"; !strings.Contains(compose, mount) {
			t.Errorf("docker-compose.yaml does not mount %s", mount)
		}
	}
}

// TestLabelsExist: what an expression groups by or matches, and what a legend
// shows, is a label that something has.
func TestLabelsExist(t *testing.T) {
	known := map[string]bool{
		"job": true, "instance": true, "le": true, "alertname": true, "alertstate": true, // Prometheus'
		"queue": true, // a recording rule's
	}
	for _, f := range scrape(t) {
		for _, l := range f.GetMetric()[0].GetLabel() {
			known[l.GetName()] = true
		}
	}
	var (
		grouping = regexp.MustCompile(`\b(?:by|on|without) \(([^)]+)\)`)
		matcher  = regexp.MustCompile(`\b(\w+) ?(?:=|!=|=~|!~) ?\\*"`)
		legend   = regexp.MustCompile(`\{\{ ?(?:\$labels\.)?(\w+) ?(?:\||\}\})`)
	)
	files := append(dashboardFiles(t), dir+"/prometheus/recording.yml", dir+"/prometheus/alerts.yml")
	found := 0
	for _, file := range files {
		text := read(t, file)
		var labels []string
		for _, m := range grouping.FindAllStringSubmatch(text, -1) {
			labels = append(labels, strings.Split(m[1], ", ")...)
		}
		for _, pattern := range []*regexp.Regexp{matcher, legend} {
			for _, m := range pattern.FindAllStringSubmatch(text, -1) {
				labels = append(labels, m[1])
			}
		}
		found += len(labels)
		for _, label := range labels {
			if !known[label] {
				t.Errorf("%s: there is no label %s", file, label)
			}
		}
	}
	if found < 150 {
		t.Errorf("only %d labels found", found)
	}
}
