// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/skbpath/skbpath/test/vm"
)

// network is two namespaces joined by veth, in which nothing but the load
// sends: neighbours are known, IPv6 is off.
const network = `
for n in a b; do
	ip netns add $n
	ip netns exec $n sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'
done
ip link add va netns a address 02:00:00:00:00:0a type veth peer name vb netns b address 02:00:00:00:00:0b
ip -n a addr add 10.9.0.1/24 dev va
ip -n b addr add 10.9.0.2/24 dev vb
ip -n a link set va up
ip -n b link set vb up
ip -n a link set lo up
ip -n b link set lo up
ip netns exec a sh -c 'echo 0 0 > /proc/sys/net/ipv4/ping_group_range'
ip -n a neigh replace 10.9.0.2 lladdr 02:00:00:00:00:0b dev va nud permanent
ip -n b neigh replace 10.9.0.1 lladdr 02:00:00:00:00:0a dev vb nud permanent
sleep 1
`

// The tracers start in the background and leave $tracer behind.
const (
	startSkbpath = `
rm -f /tmp/ready
skbpath --print=none --log.level=warn --ready-file=/tmp/ready %s &
tracer=$!
until [ -e /tmp/ready ]; do sleep 0.1; done
sleep 3
`
	startPwru = `
pwru %s > /dev/null 2> /tmp/log &
tracer=$!
until grep -q Listening /tmp/log; do
	kill -0 $tracer || { cat /tmp/log; exit 1; }
	sleep 0.1
done
sleep 3
`
)

// inPath measures with the tracer's user half stopped, so that the CPU does
// nothing but what happens in the path of a packet.
const inPath = `
for kind in ping udp; do
	kill -STOP $tracer
	load -kind $kind | sed "s/^/$kind /"
	kill -CONT $tracer
	sleep 5
done
`

// whole measures everything that the CPU does until the tracer has caught up,
// and what the tracer does in a while with no packets.
const whole = `
load -kind ping -batches 1 -batch 2000 -settle 3s | sed 's/^/whole /'
load -kind ping -batches 1 -batch 0 -settle 3s | sed 's/^/idle /'
`

// scrape prints skbpath's own account of what it saw and lost.
const scrape = `
busybox wget -q -O - http://127.0.0.1:10199/metrics | grep -E '^skbpath_(lost|journeys)_total|^skbpath_probes' | sed 's/^/metric /'
`

// flood sends more than a tracer can take while it runs on the same CPU.
const flood = `
load -kind ping -batches 1 -batch %d -warm 0 -settle 5s | sed 's/^/flood /'
`

const floodPings = 5000

// tracers are the command lines to compare, by the name of their row.
var tracers = []struct{ row, program, arguments string }{
	{"skbpath, matching", "skbpath", "icmp or udp"},
	{"skbpath, not matching", "skbpath", "tcp port 9"},
	{"skbpath, tracepoints, matching", "skbpath", "--probe.source=tracepoints icmp or udp"},
	{"skbpath, tracepoints, not matching", "skbpath", "--probe.source=tracepoints tcp port 9"},
	{"pwru, matching", "pwru", "icmp or udp"},
	{"pwru --filter-track-skb, matching", "pwru", "--filter-track-skb icmp or udp"},
	{"pwru, not matching", "pwru", "tcp port 9"},
}

const (
	rowNone       = "no tracer"
	rowEmpty      = "empty program, skbpath's functions"
	rowEmptyOther = "empty program, pwru's functions"
)

func scenarios() []vm.Scenario {
	all := []vm.Scenario{
		scenario("no tracer", network, "load -kind ping | sed 's/^/ping /'\nload -kind udp | sed 's/^/udp /'\n", whole),
		scenario("functions", fmt.Sprintf(startSkbpath, "icmp"), "cp /sys/kernel/tracing/enabled_functions /tmp/skbpath\n",
			`kill $tracer; wait $tracer || :`, fmt.Sprintf(startPwru, "icmp"), "cp /sys/kernel/tracing/enabled_functions /tmp/pwru\n",
			`cp /tmp/skbpath /tmp/pwru $OUT`),
		scenario(rowEmpty, network, empty("skbpath")),
		scenario(rowEmptyOther, network, empty("pwru")),
	}
	for _, t := range tracers {
		start, after := startPwru, ""
		if t.program == "skbpath" {
			start, after = startSkbpath, scrape
		}
		all = append(all, scenario(t.row, network, fmt.Sprintf(start, t.arguments), inPath, whole, fmt.Sprintf(flood, floodPings), after))
	}
	return append(all,
		scenario("pwru flood", network, fmt.Sprintf(strings.Replace(startPwru, "/dev/null", "/tmp/lines", 1), "icmp"),
			fmt.Sprintf(flood, floodPings), `echo "flood lines $(grep -c 0x /tmp/lines)"`),
	)
}

// empty runs both loads below the empty program, and counts how often it runs.
func empty(functions string) string {
	const format = `
empty -functions /tmp/%[1]s load -kind %[2]s | sed 's/^/%[2]s /'
empty -count -functions /tmp/%[1]s load -kind %[2]s -warm 0 -batches 1 -batch 1000 | sed 's/^/%[2]s counted /'
`
	return fmt.Sprintf(format, functions, "ping") + fmt.Sprintf(format, functions, "udp")
}

func scenario(row string, parts ...string) vm.Scenario {
	return vm.Scenario{Name: scenarioName(row), Script: strings.Join(parts, "\n"), Timeout: 10 * time.Minute}
}

// scenarioName makes a file name of a row's name.
func scenarioName(row string) string {
	return strings.NewReplacer(" ", "_", ",", "", "'", "", "--", "").Replace(row)
}
