// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// TestICount checks that counted instructions are a measure that repeats.
func TestICount(t *testing.T) {
	first, second := floodTime(t), floodTime(t)
	t.Logf("1000 pings over veth: %.0f ns and %.0f ns of guest time", first, second)
	if math.Abs(first-second) > first/100 {
		t.Errorf("two identical runs took %.0f ns and %.0f ns, more than 1%% apart", first, second)
	}
}

func floodTime(t *testing.T) float64 {
	t.Helper()
	r := Test(t, Config{Kernel: "6.12", Modules: []string{"veth"}, ICount: true, Script: pair + `
ip netns exec a ping -q -c 10 -i 0.01 10.9.0.2
start=$(clock)
ip netns exec a ping -q -f -c 1000 10.9.0.2
end=$(clock)
echo "took $((end - start))"
`})
	r.Check(t)
	_, took, _ := strings.Cut(r.Scenarios["script"].Stdout, "took ")
	ns, err := strconv.ParseFloat(strings.TrimSpace(took), 64)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}
