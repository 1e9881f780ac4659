// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"os"
	"regexp"
	"slices"
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
skbpath --log.level=warn --ready-file=/tmp/ready %s > /dev/null &
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

// noTracer measures what all others are compared to, twice: it is the first, and a
// machine that has just booted still works for itself.
const noTracer = `
for kind in ping udp ping udp; do
	load -kind $kind | sed "s/^/$kind /"
	sleep 5
done
`

// tracer is a command line to compare, and the name of its row.
type tracer struct{ row, program, arguments string }

// rowExported is skbpath with a collector, which works on the same CPU. The queue has room
// for all that comes, so that the cost is that of every journey.
const rowExported = "skbpath, matching, exported by OTLP"

const startCollector = `
ip link set lo up
collector &
collector=$!
export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_BSP_MAX_QUEUE_SIZE=4000000
`

// collected is what the collector does meanwhile.
const collected = `
collector_ran() { cat /proc/$collector/task/*/schedstat | awk '{ ns += $1 } END { printf "%%.0f", ns }'; }
ran=$(collector_ran)
%s
echo "whole collector $(($(collector_ran) - ran))"
`

// tracers are those that SKBPATH_BENCH_ROWS, a regular expression, names and that
// the kernel lets run.
func tracers(kernel string) []tracer {
	return slices.DeleteFunc(named(allTracers()), func(t tracer) bool {
		return regexp.MustCompile("fentry-multi|fsession-multi").MatchString(t.arguments) && strings.HasPrefix(kernel, "6.")
	})
}

func named(all []tracer) []tracer {
	rows := regexp.MustCompile(os.Getenv("SKBPATH_BENCH_ROWS"))
	return slices.DeleteFunc(all, func(t tracer) bool { return !rows.MatchString(t.row) })
}

func allTracers() []tracer {
	return []tracer{
		{"skbpath, matching", "skbpath", "--print=json icmp or udp"},
		{rowExported, "skbpath", "--print=none icmp or udp"},
		{"skbpath, one in 100 kept", "skbpath", "--print=json --journey.sample=1/100 icmp or udp"},
		{"skbpath, nothing kept", "skbpath", "--print=json --journey.keep=slow:1h icmp or udp"},
		{"skbpath, only counted", "skbpath", "--print=none icmp or udp"},
		{"skbpath, not matching", "skbpath", "--print=json tcp port 9"},
		{"skbpath, fentry-multi, matching", "skbpath", "--probe.backend=fentry-multi --print=json icmp or udp"},
		{"skbpath, fentry-multi, only counted", "skbpath", "--probe.backend=fentry-multi --print=none icmp or udp"},
		{"skbpath, fentry-multi, not matching", "skbpath", "--probe.backend=fentry-multi --print=json tcp port 9"},
		{"skbpath, fsession-multi, matching", "skbpath", "--probe.backend=fsession-multi --print=json icmp or udp"},
		{"skbpath, fsession-multi, only counted", "skbpath", "--probe.backend=fsession-multi --print=none icmp or udp"},
		{"skbpath, fsession-multi, not matching", "skbpath", "--probe.backend=fsession-multi --print=json tcp port 9"},
		{"skbpath, tracepoints, matching", "skbpath", "--probe.source=tracepoints --print=json icmp or udp"},
		{"skbpath, tracepoints, only counted", "skbpath", "--probe.source=tracepoints --print=none icmp or udp"},
		{"skbpath, tracepoints, not matching", "skbpath", "--probe.source=tracepoints --print=json tcp port 9"},
		{"skbpath, drops alone", "skbpath", "--probe.source=drops --print=json icmp or udp"},
		{"pwru, matching", "pwru", "icmp or udp"},
		{"pwru --filter-track-skb, matching", "pwru", "--filter-track-skb icmp or udp"},
		{"pwru, not matching", "pwru", "tcp port 9"},
	}
}

// listFunctions leaves in /tmp/skbpath what skbpath attaches to.
func listFunctions() string {
	return fmt.Sprintf(startSkbpath, "--print=none icmp") + `
cp /sys/kernel/tracing/enabled_functions /tmp/skbpath
kill $tracer
wait $tracer || :
`
}

const (
	rowNone       = "no tracer"
	rowEmpty      = "empty program, skbpath's functions"
	rowEmptyOther = "empty program, pwru's functions"

	rowEmptyFentry   = "empty program by fentry-multi, skbpath's functions"
	rowEmptyFsession = "empty program by fsession-multi, entry and return"
)

// emptyRows are the empty program by every mechanism that the kernel has.
func emptyRows(kernel string) []string {
	if strings.HasPrefix(kernel, "6.") {
		return []string{rowEmpty, rowEmptyOther}
	}
	return []string{rowEmpty, rowEmptyFentry, rowEmptyFsession, rowEmptyOther}
}

func scenarios(kernel string) []vm.Scenario {
	all := []vm.Scenario{
		scenario("no tracer", network, noTracer, whole),
		scenario("functions", listFunctions(), fmt.Sprintf(startPwru, "icmp"), "cp /sys/kernel/tracing/enabled_functions /tmp/pwru\n",
			`cp /tmp/skbpath /tmp/pwru $OUT`),
	}
	for _, row := range emptyRows(kernel) {
		all = append(all, scenario(row, network, empty(row)))
	}
	for _, t := range tracers(kernel) {
		start, after := startPwru, ""
		if t.program == "skbpath" {
			start, after = startSkbpath, scrape
		}
		collector, work := "", whole
		if t.row == rowExported {
			collector, work = startCollector, fmt.Sprintf(collected, whole)
		}
		all = append(all, scenario(t.row, network, collector, fmt.Sprintf(start, t.arguments), inPath, work, fmt.Sprintf(flood, floodPings), after))
	}
	return append(all,
		scenario("pwru flood", network, fmt.Sprintf(strings.Replace(startPwru, "/dev/null", "/tmp/lines", 1), "icmp"),
			fmt.Sprintf(flood, floodPings), `echo "flood lines $(grep -c 0x /tmp/lines)"`),
	)
}

// empty runs both loads below the empty program, and counts how often it runs.
func empty(row string) string {
	const format = `
empty -by %[1]s -functions /tmp/%[2]s load -kind %[3]s | sed 's/^/%[3]s /'
empty -by %[1]s -count -functions /tmp/%[2]s load -kind %[3]s -warm 0 -batches 1 -batch 1000 | sed 's/^/%[3]s counted /'
`
	by, functions := "kprobe-multi", "skbpath"
	switch row {
	case rowEmptyOther:
		functions = "pwru"
	case rowEmptyFentry:
		by = "fentry-multi"
	case rowEmptyFsession:
		by = "fsession-multi"
	}
	return fmt.Sprintf(format, by, functions, "ping") + fmt.Sprintf(format, by, functions, "udp")
}

func scenario(row string, parts ...string) vm.Scenario {
	return vm.Scenario{Name: scenarioName(row), Script: strings.Join(parts, "\n"), Timeout: 10 * time.Minute}
}

// scenarioName makes a file name of a row's name.
func scenarioName(row string) string {
	return strings.NewReplacer(" ", "_", ",", "", "'", "", "--", "").Replace(row)
}
