// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"regexp"
	"strings"
	"testing"
)

// TestQueuesAreKnown: the recording rule knows every function that parks
// packets, which journey.Queues lists.
func TestQueuesAreKnown(t *testing.T) {
	_, body, _ := strings.Cut(read(t, root+"/pkg/tracer/journey/role.go"), "\nfunc Queues(")
	body, _, _ = strings.Cut(body, "\n}\n")
	functions := regexp.MustCompile(`"(\w[\w:]*)"`).FindAllStringSubmatch(body, -1)
	if len(functions) < 12 {
		t.Fatalf("only %d functions found", len(functions))
	}
	kinds := regexp.MustCompile(`"queue", "(\w+)", "from", "([^"]+)"`).FindAllStringSubmatch(read(t, dir+"/prometheus/recording.yml"), -1)
	for _, f := range functions {
		name := f[1]
		switch name {
		case "inet_frag_queue_insert", "neigh_resolve_output", "dev_hard_start_xmit":
			continue // in "other"
		case "_enqueue", "macvlan_broadcast_enqueue":
			continue // a suffix, and what is none in spite of it
		}
		found := 0
		for _, kind := range kinds {
			if regexp.MustCompile(`^(?:` + kind[2] + `)$`).MatchString(name) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s is in %d kinds of queue", name, found)
		}
	}
}
