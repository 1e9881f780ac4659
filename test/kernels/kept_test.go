// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// What kept.sh sends, and how long its slow echoes wait.
const (
	keptEchoes = 105
	keptDrops  = 10
	keptSlow   = 5
	keptWait   = 300 * time.Millisecond

	keptPerSecond = 3 // of which more are sent

	// Few functions are attached in a fraction of the time.
	keptPackets = "'--probe.functions=ip.*|icmp.*|ping_.*|udp.*|skb_.*|(__)?dev_.*' " +
		"'net 10.12.3.0/24 and (icmp and icmp[0] != 3 or udp port 7041)'"
)

// keptPart runs one skbpath for each way of choosing what becomes a trace, all at the same
// time, beside one that keeps everything.
func keptPart() part {
	cases := []optionCase{
		{name: "all", args: keptPackets, check: keepsEverything},
		{name: "none", args: "--journey.keep=slow:1h " + keptPackets, check: keepsNothing},
		{name: "dropped", args: "--journey.keep=dropped " + keptPackets, check: keepsWhatIsDropped},
		{name: "slow", args: "--journey.keep=slow:100ms " + keptPackets, check: keepsWhatIsSlow},
		{name: "sampled", args: "--journey.sample=1/4 --journey.keep=all --journey.keep=dropped " + keptPackets, check: keepsOneInFour},
		{name: "limited", args: fmt.Sprintf("--journey.rate-limit=%d/s ", keptPerSecond) + keptPackets, check: keepsSoManyASecond},
	}
	for i := range cases {
		cases[i].check = countsAllTheSame(cases[i].name, cases[i].check)
	}
	return optionsPart("kept", cases, "kept")
}

// countsAllTheSame: whatever is kept, metrics cover every packet.
func countsAllTheSame(name string, check func(*testing.T, string, []*journey)) func(*testing.T, string, []*journey) {
	return func(t *testing.T, dir string, kept []*journey) {
		check(t, dir, kept)
		got, want := outcomes(keptMetrics(t, dir, name)), outcomes(keptMetrics(t, dir, "all"))
		if !maps.Equal(got, want) {
			t.Errorf("journeys counted: %v, and %v where all are kept", got, want)
		}
	}
}

func keptMetrics(t *testing.T, dir, name string) families {
	t.Helper()
	return parseMetrics(t, filepath.Join(dir, name+".metrics"))
}

func total(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

func countOutcomes(all []*journey) map[string]int {
	counts := make(map[string]int)
	for _, j := range all {
		counts[j.Outcome]++
	}
	return counts
}

func (j *journey) lasted() time.Duration { return time.Duration(j.DurationNS) }

func keepsEverything(t *testing.T, dir string, kept []*journey) {
	request := claim{
		transport: "icmp", from: "10.12.3.1", to: "10.12.3.2", min: keptEchoes, max: keptEchoes, lineage: original,
		which: func(j *journey) bool { return j.Process != nil && j.Process.Command == "ping" },
	}
	request.check(t, kept)
	dropped := claim{transport: "udp", min: keptDrops, max: keptDrops, outcomes: []string{"dropped"}}
	dropped.check(t, kept)
	counted := outcomes(keptMetrics(t, dir, "all"))
	if got := total(counted); got != len(kept) {
		t.Errorf("%d journeys counted, %d kept", got, len(kept))
	}
}

func keepsNothing(t *testing.T, _ string, kept []*journey) {
	if len(kept) > 0 {
		t.Errorf("%d journeys, none of which took an hour: %s", len(kept), kept[0])
	}
}

func keepsWhatIsDropped(t *testing.T, _ string, kept []*journey) {
	if got := countOutcomes(kept); got["dropped"] != keptDrops || len(kept) != keptDrops {
		t.Errorf("kept %v, want %d dropped", got, keptDrops)
	}
}

func keepsWhatIsSlow(t *testing.T, _ string, kept []*journey) {
	slow := 0
	for _, j := range kept {
		if j.lasted() < 100*time.Millisecond {
			t.Errorf("kept, of %v: %s", j.lasted(), j)
		}
		if j.lasted() >= keptWait {
			slow++
		}
	}
	if slow < keptSlow || len(kept) > keptEchoes {
		t.Errorf("%d journeys kept, %d of them of %v: want the %d echoes that wait so long", len(kept), slow, keptWait, keptSlow)
	}
}

// keepsOneInFour: by the trace id, so that all of a trace is kept or nothing; what is
// dropped is kept whatever its trace id.
func keepsOneInFour(t *testing.T, dir string, kept []*journey) {
	if got := countOutcomes(kept)["dropped"]; got != keptDrops {
		t.Errorf("%d dropped, want %d", got, keptDrops)
	}
	sampled := 0
	for _, j := range kept {
		if j.Outcome == "dropped" {
			continue
		}
		sampled++
		if randomness(t, j) < 3<<54 {
			t.Errorf("trace id %s is none of the upper quarter: %s", j.TraceID, j)
		}
		if j.ParentID != "" && j.parent == nil {
			t.Errorf("kept without the one that it was made from: %s", j)
		}
	}
	// Of 105 requests, and as many answers with their clones, a quarter: 79 journeys, with a
	// standard deviation of 10, of which there are five on either side.
	all := total(outcomes(keptMetrics(t, dir, "all"))) - keptDrops
	if share := float64(sampled) / float64(all); share < 0.1 || share > 0.4 {
		t.Errorf("%d of %d kept, want a quarter", sampled, all)
	}
}

// randomness is the lower 56 bits of a trace id, which W3C Trace Context Level 2 makes random.
func randomness(t *testing.T, j *journey) uint64 {
	t.Helper()
	bits, err := strconv.ParseUint(j.TraceID[len(j.TraceID)-14:], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return bits
}

// keepsSoManyASecond: what goes beyond is counted.
func keepsSoManyASecond(t *testing.T, dir string, kept []*journey) {
	metrics := keptMetrics(t, dir, "limited")
	suppressed, all := lost(metrics, "journey", "rate_limit"), total(outcomes(metrics))
	if suppressed == 0 || len(kept)+suppressed != all {
		t.Errorf("%d kept, %d suppressed, %d in all", len(kept), suppressed, all)
	}
	var first, last time.Time
	for _, j := range kept {
		start, err := time.Parse(time.RFC3339Nano, j.Start)
		if err != nil {
			t.Fatal(err)
		}
		end := start.Add(j.lasted())
		if first.IsZero() || end.Before(first) {
			first = end
		}
		if end.After(last) {
			last = end
		}
	}
	// Seconds begin when the clock says so, and two CPUs that begin one at once may each
	// let some through.
	seconds := int(last.Sub(first)/time.Second) + 2
	if most := keptPerSecond * (seconds + 2); len(kept) > most || len(kept) < seconds-1 {
		t.Errorf("%d kept in %d seconds of at most %d", len(kept), seconds, keptPerSecond)
	}
}
