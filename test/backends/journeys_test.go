// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// journey is a line of --print=json, as far as it has a counterpart in a trace.
type journey struct {
	TraceID    string    `json:"trace_id"`
	JourneyID  string    `json:"journey_id"`
	ParentID   string    `json:"parent_id"`
	Start      time.Time `json:"start"`
	DurationNS int64     `json:"duration_ns"`
	Outcome    string    `json:"outcome"`
	Incomplete bool      `json:"incomplete"`
	Hops       []hop     `json:"hops"`
	Waits      []wait    `json:"waits"`
}

type hop struct {
	Function   string  `json:"function"`
	Caller     string  `json:"caller"`
	Via        string  `json:"via"`
	OffsetNS   int64   `json:"offset_ns"`
	DurationNS int64   `json:"duration_ns"`
	Depth      int     `json:"depth"`
	CPU        int64   `json:"cpu"`
	Interface  *string `json:"interface"`
	Netns      *int64  `json:"netns"`
	NetnsName  string  `json:"netns_name"`
	Length     *int64  `json:"length"`
}

type wait struct {
	From       string `json:"from"`
	To         string `json:"to"`
	OffsetNS   int64  `json:"offset_ns"`
	DurationNS int64  `json:"duration_ns"`
}

// spans is the number of spans that a journey becomes.
func (j *journey) spans() int { return 1 + len(j.Hops) + len(j.Waits) }

func readJourneys(t *testing.T, dir string) []*journey {
	t.Helper()
	var all []*journey
	for line := range strings.Lines(readText(t, dir, "journeys.jsonl")) {
		j := new(journey)
		if err := json.Unmarshal([]byte(line), j); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, j)
	}
	return all
}

// readText returns the contents of a file that the guest left.
func readText(t *testing.T, elements ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
