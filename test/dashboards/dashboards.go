// SPDX-License-Identifier: Apache-2.0

// Package dashboards reads what directory dashboards holds, for tests to check:
// every expression of PromQL in a panel, a variable, an annotation or a rule,
// and where it stands.
package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v2"
)

// Expression is PromQL that someone will run.
type Expression struct {
	Where string // e.g. "drops.json: By reason: A"
	Text  string
	Rule  *Rule // nil if it is not a rule's

	Exemplar bool // it asks for exemplars, too
}

// Rule is an alert or recording rule of Prometheus.
type Rule struct {
	Record      string
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

// dashboard is what is read of Grafana's JSON.
type dashboard struct {
	Title, UID  string
	Panels      []panel
	Annotations struct {
		List []struct{ Name, Expr string }
	}
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
}

type panel struct {
	ID                       int
	Title, Description, Type string
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []target
}

type target struct {
	RefID    string
	Expr     string
	Format   string
	Exemplar bool
}

// All returns every expression below dir, the repository's dashboards.
func All(dir string) ([]Expression, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []Expression
	for _, file := range files {
		d, err := readDashboard(file)
		if err != nil {
			return nil, err
		}
		all = append(all, d.expressions(filepath.Base(file))...)
	}
	rules, err := Rules(dir)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		r := &rules[i]
		all = append(all, Expression{Where: "rule " + r.Record + r.Alert, Text: r.Expr, Rule: r})
	}
	return all, nil
}

func readDashboard(file string) (*dashboard, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &d, nil
}

func (d *dashboard) expressions(file string) []Expression {
	var all []Expression
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			where := fmt.Sprintf("%s: %s: %s", file, p.Title, t.RefID)
			all = append(all, Expression{Where: where, Text: t.Expr, Exemplar: t.Exemplar})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, Expression{Where: fmt.Sprintf("%s: annotation %s", file, a.Name), Text: a.Expr})
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		query, _ := v.Query.(map[string]any)
		text, _ := query["query"].(string)
		all = append(all, Expression{Where: fmt.Sprintf("%s: variable %s", file, v.Name), Text: selected(text)})
	}
	return all
}

// selected returns the series that label_values(series, label), which is
// Grafana's and not PromQL, chooses from.
func selected(labelValues string) string {
	inner, ok := strings.CutPrefix(labelValues, "label_values(")
	if comma := strings.LastIndex(inner, ","); ok && comma > 0 {
		return inner[:comma]
	}
	return labelValues
}

// Rules returns the rules of all groups, in order.
func Rules(dir string) ([]Rule, error) {
	var all []Rule
	for _, name := range []string{"recording.yml", "alerts.yml"} {
		file := filepath.Join(dir, "prometheus", name)
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var f struct {
			Groups []struct{ Rules []Rule }
		}
		if err := yaml.Unmarshal(text, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all, nil
}

// Substitute replaces Grafana's variables as it would with All chosen, for a
// rate over interval and a dashboard that shows shown.
func Substitute(expression, interval, shown, function string) string {
	return strings.NewReplacer(
		"$__rate_interval", interval, "$__range", shown,
		"$instance", ".*", "$interface", ".*", "$function", function,
	).Replace(expression)
}
