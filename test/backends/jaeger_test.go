// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// trace is what Jaeger knows about a packet.
type trace struct {
	ID        string             `json:"traceID"`
	Spans     []*span            `json:"spans"`
	Processes map[string]process `json:"processes"`

	byID map[string]*span
}

type span struct {
	TraceID    string      `json:"traceID"`
	ID         string      `json:"spanID"`
	Name       string      `json:"operationName"`
	References []reference `json:"references"`
	Start      int64       `json:"startTime"` // µs, rounded down
	Duration   int64       `json:"duration"`  // µs, rounded down
	Tags       tags        `json:"tags"`
	ProcessID  string      `json:"processID"`
	Warnings   []string    `json:"warnings"`
}

type reference struct {
	Type    string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type process struct {
	Service string `json:"serviceName"`
	Tags    tags   `json:"tags"`
}

// tags maps keys to values as text.
type tags map[string]string

func (m *tags) UnmarshalJSON(data []byte) error {
	var list []struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&list); err != nil {
		return err
	}
	*m = make(tags)
	for _, tag := range list {
		if _, twice := (*m)[tag.Key]; twice {
			return fmt.Errorf("tag %s is there twice", tag.Key)
		}
		(*m)[tag.Key] = fmt.Sprint(tag.Value)
	}
	return nil
}

func (m tags) number(key string) int64 {
	n, err := strconv.ParseInt(m[key], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// readTraces returns Jaeger's answer by trace id.
func readTraces(t *testing.T, dir string) map[string]*trace {
	t.Helper()
	var answer struct {
		Data   []*trace `json:"data"`
		Errors []any    `json:"errors"`
	}
	if err := json.Unmarshal([]byte(readText(t, dir, "traces.json")), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Errors) > 0 {
		t.Errorf("Jaeger answers with errors: %v", answer.Errors)
	}
	traces := make(map[string]*trace)
	for _, tr := range answer.Data {
		tr.index()
		traces[tr.ID] = tr
	}
	return traces
}

func (tr *trace) index() {
	tr.byID = make(map[string]*span)
	for _, s := range tr.Spans {
		tr.byID[s.ID] = s
	}
}

// journey returns the spans of a journey in order, its root first. Packets made
// from one another share a trace.
func (tr *trace) journey(id string) tree {
	t := tree{trace: tr}
	for _, s := range tr.Spans {
		if lineage := tr.lineage(s); lineage[0].Tags["skbpath.journey.id"] == id {
			t.spans = append(t.spans, s)
		}
	}
	slices.SortFunc(t.spans, func(a, b *span) int { return cmp.Compare(a.sequence(), b.sequence()) })
	return t
}

// lineage leads to s from the root of its journey, or from where its ancestors
// come to an end.
func (tr *trace) lineage(s *span) []*span {
	line := []*span{s}
	for s.Tags["skbpath.journey.id"] == "" && len(line) <= len(tr.Spans) {
		if s = tr.parent(s); s == nil {
			break
		}
		line = append(line, s)
	}
	slices.Reverse(line)
	return line
}

func (s *span) sequence() int64 { return s.Tags.number("skbpath.span.sequence") }

func (s *span) isWait() bool { return s.Name == "wait" }

func (s *span) failed() bool { return s.Tags["otel.status_code"] == "ERROR" }

// parent is nil for a root.
func (tr *trace) parent(s *span) *span {
	if len(s.References) == 0 {
		return nil
	}
	return tr.byID[s.References[0].SpanID]
}

// tree is the part of a trace that is one journey.
type tree struct {
	trace *trace
	spans []*span // in order, the root first
}

// path names the spans below the root that lead to s.
func (t tree) path(s *span) []string {
	var names []string
	for _, above := range t.trace.lineage(s)[1:] {
		names = append(names, above.Name)
	}
	return names
}

func (t tree) find(name string) *span {
	for _, s := range t.spans {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// String draws the tree.
func (t tree) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "trace %s", t.trace.ID)
	for _, s := range t.spans {
		indent := strings.Repeat("  ", len(t.path(s)))
		fmt.Fprintf(&b, "\n%7d %7d µs %s%s", s.Start-t.spans[0].Start, s.Duration, indent, s.Name)
		if s.failed() {
			fmt.Fprintf(&b, " (%s)", s.Tags["otel.status_description"])
		}
	}
	return b.String()
}
