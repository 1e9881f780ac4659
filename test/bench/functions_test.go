// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/vm"
)

// onePing records a ping with each tracer, one after the other: the hops that
// one kept and the lines that the other printed, and what each had attached.
// The first ping of all goes unrecorded: it makes the link-layer headers that
// the kernel keeps for those that follow.
const onePing = network + `
load -kind ping -warm 0 -batches 1 -batch 1
skbpath --print=json --log.level=warn --ready-file=/tmp/ready icmp > $OUT/journeys &
tracer=$!
until [ -e /tmp/ready ]; do sleep 0.1; done
cp /sys/kernel/tracing/enabled_functions $OUT/skbpath
load -kind ping -warm 0 -batches 1 -batch 1
until [ $(grep -c . $OUT/journeys) -ge 2 ]; do sleep 0.1; done
sleep 1
kill $tracer
wait $tracer || :
pwru icmp > $OUT/lines 2> /tmp/log &
tracer=$!
until grep -q Listening /tmp/log; do sleep 0.1; done
cp /sys/kernel/tracing/enabled_functions $OUT/pwru
load -kind ping -warm 0 -batches 1 -batch 1
sleep 3
kill $tracer
wait $tracer || :
`

// TestCostFunctions tells which functions of one ping, request and reply, only
// skbpath or only pwru saw.
func TestCostFunctions(t *testing.T) {
	r := run(t, "6.12", []vm.Scenario{scenario("one ping", onePing)})
	dir := r.Scenarios[scenarioName("one ping")].Dir
	ours, theirs := recorded(t, filepath.Join(dir, "journeys")), printed(t, filepath.Join(dir, "lines"))
	t.Logf("%s: skbpath recorded %d hops at %d functions, pwru printed %d lines with %d functions",
		r.Release, total(ours), len(ours), total(theirs), len(theirs))
	t.Logf("only skbpath, or more often:\n%s", difference(ours, theirs, attached(t, filepath.Join(dir, "pwru")), "pwru"))
	t.Logf("only pwru, or more often:\n%s", difference(theirs, ours, attached(t, filepath.Join(dir, "skbpath")), "skbpath"))
}

// recorded counts the hops at each function in lines of --print=json.
func recorded(t *testing.T, file string) map[string]int {
	t.Helper()
	visits := make(map[string]int)
	for _, line := range lines(t, file) {
		var journey struct{ Hops []struct{ Function string } }
		if err := json.Unmarshal([]byte(line), &journey); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		for _, h := range journey.Hops {
			visits[h.Function]++
		}
	}
	return visits
}

// printed counts the lines of pwru for each function, its last column.
func printed(t *testing.T, file string) map[string]int {
	t.Helper()
	visits := make(map[string]int)
	for _, line := range lines(t, file) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "0x") {
			visits[fields[len(fields)-1]]++
		}
	}
	return visits
}

// attached reads a copy of tracefs' enabled_functions.
func attached(t *testing.T, file string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, line := range lines(t, file) {
		name, _, _ := strings.Cut(line, " ")
		names[name] = true
	}
	return names
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// difference lists the functions that have more visits in a than in b.
func difference(a, b map[string]int, attachedByB map[string]bool, nameOfB string) string {
	var all []string
	for function, n := range a {
		if n <= b[function] {
			continue
		}
		note := ""
		if !attachedByB[function] {
			note = fmt.Sprintf(", %s not attached", nameOfB)
		}
		all = append(all, fmt.Sprintf("%s: %d, not %d%s", function, n, b[function], note))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func total(visits map[string]int) int {
	sum := 0
	for _, n := range visits {
		sum += n
	}
	return sum
}
