// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pair = `
ip netns add a
ip netns add b
ip link add va netns a type veth peer name vb netns b
ip -n a addr add 10.9.0.1/24 dev va
ip -n b addr add 10.9.0.2/24 dev vb
ip -n a link set va up
ip -n b link set vb up
ip -n a link set lo up
ip -n b link set lo up
`

func scenarios() []Scenario {
	return []Scenario{
		{Name: "uname", Script: "uname -r\n"},
		{Name: "environment", Script: `
test -e /sys/kernel/btf/vmlinux
test -e /sys/kernel/tracing/available_filter_functions
test -d /sys/fs/bpf
ip -br addr show lo | grep -q 127.0.0.1
`},
		{Name: "ping", Script: pair + "ip netns exec a ping -n -c 3 -i 0.2 -W 5 10.9.0.2\n"},
		{Name: "drop", Script: pair + `
ip netns exec b nft -f - <<'RULES'
table inet t { chain in { type filter hook input priority 0; icmp type echo-request counter drop; }; }
RULES
if ip netns exec a ping -n -c 2 -i 0.2 -W 1 10.9.0.2; then exit 9; fi
ip netns exec b nft list ruleset | tee "$OUT/ruleset" | grep 'counter packets 2 '
`},
		{Name: "udp", Script: pair + `
mkfifo fifo
ip netns exec b nc -u -l 10.9.0.2 4000 > got &
receiver=$!
until ip netns exec b ss -lun | grep -q :4000; do :; done
echo hello | ip netns exec a nc -u -q 0 10.9.0.2 4000
until grep -q hello got; do :; done
kill $receiver
cp got "$OUT/got"
mkdir "$OUT/deep"
head -c 3000000 /dev/zero > "$OUT/deep/zeroes"
rm fifo
`},
		{Name: "tools", Script: `
socat -V | grep 'socat version'
tcpdump --version
tc qdisc add dev lo root netem delay 1ms 1ms distribution normal
tc qdisc del dev lo root
`},
		{Name: "code", Script: "echo out; echo err >&2; exit 7\n"},
		{Name: "background", Script: "sleep 1000 &\n"},
		{Name: "slow", Script: "sleep 1000\n", Timeout: 1e9},
	}
}

func TestKernels(t *testing.T) {
	for _, series := range []string{"6.1", "6.12", "7"} {
		t.Run(series, func(t *testing.T) {
			r := Test(t, Config{
				Kernel:    series,
				Modules:   []string{"veth", "bridge", "nf_tables", "sch-netem"},
				Tools:     []string{"socat", "tcpdump"},
				Scenarios: scenarios(),
			})
			t.Logf("kernel %s: first scenario after %v, warnings %q", r.Release, r.Boot, r.Warnings)
			checkScenarios(t, r)
			if t.Failed() {
				t.Logf("console:\n%s", r.Console)
			}
		})
	}
}

func checkScenarios(t *testing.T, r *Result) {
	t.Helper()
	want := map[string]int{"code": 7, "slow": 137}
	for _, s := range scenarios() {
		got, ok := r.Scenarios[s.Name]
		if !ok || got.ExitCode != want[s.Name] {
			t.Errorf("%s: exit code %d, want %d, ran %t, output:\n%s", s.Name, got.ExitCode, want[s.Name], ok, got.Stdout)
		}
	}
	if got := strings.TrimSpace(r.Scenarios["uname"].Stdout); got != r.Release {
		t.Errorf("uname -r: %q, want %q", got, r.Release)
	}
	if got := r.Scenarios["code"].Stdout; got != "out\nerr\n" {
		t.Errorf("output %q", got)
	}
	if r.ExitCode != 7 || !r.Scenarios["slow"].TimedOut {
		t.Errorf("exit code %d, timed out %t", r.ExitCode, r.Scenarios["slow"].TimedOut)
	}
	if got, err := os.ReadFile(filepath.Join(r.Scenarios["udp"].Dir, "got")); err != nil || string(got) != "hello\n" {
		t.Errorf("file from the guest: %q, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(r.Scenarios["udp"].Dir, "deep", "zeroes")); err != nil || info.Size() != 3000000 {
		t.Errorf("large file from the guest: %v", err)
	}
}
