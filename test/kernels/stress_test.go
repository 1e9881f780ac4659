// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skbpath/skbpath/test/vm"
)

var (
	stressPackets = flag.Int("stress.packets", 20000, "datagrams of the stress, beside what runs with them")
	stressBackend = flag.String("stress.backend", "auto", "mechanism that the stress attaches functions with")
)

// stressSample: of so many journeys one is looked at.
const stressSample = 20

// stressFunctions are some of every layer: a journey of more hops than fit one
// record leaves the kernel in parts, before it is known whether it is kept.
const stressFunctions = "__ip_local_out|ip_output|ip_finish_output2|dev_hard_start_xmit|enqueue_to_backlog|__netif_receive_skb|" +
	"ip_rcv|ip_forward|ip_local_deliver|nf_hook_slow|br_handle_frame_finish|__udp_enqueue_schedule_skb|skb_consume_udp|" +
	"tcp_v4_rcv|tcp_rcv_established|tcp_queue_rcv|icmp_rcv|icmp_unreach|inet_frag_queue_insert|sock_rfree|sock_wfree"

// stressPart looks for journeys that mix packets.
func stressPart() part {
	return part{
		name: "stress",
		build: func(*testing.T, *kernel) vm.Scenario {
			script := fmt.Sprintf("PACKETS=%d SAMPLE=%d BACKEND=%s FUNCTIONS='%s'\n. /guest/stress.sh\n",
				*stressPackets, stressSample, *stressBackend, stressFunctions)
			return vm.Scenario{Name: "stress", Script: script, Timeout: stressTimeout()}
		},
		check: checkStress, mayHide: stressUnseen() * hopsOfWay,
	}
}

// stressUnseen is how many packets may be missing with hops that interrupts hid.
func stressUnseen() int { return 20 + *stressPackets/10000 }

// stressTimeout: an emulated machine handles a thousand packets a second, a slow one fewer.
func stressTimeout() time.Duration {
	return partTimeout + time.Duration(*stressPackets)*5*time.Millisecond
}

func checkStress(t *testing.T, _ *kernel, r vm.ScenarioResult) {
	file := func(name string) string { return filepath.Join(r.Dir, name) }
	if got := strings.TrimSpace(readText(t, file("stress.exit"))); got != "0" {
		t.Errorf("exit status %s:\n%s", got, readText(t, file("stress.log")))
	}
	var counts map[string]int
	if err := json.Unmarshal([]byte(readText(t, file("audit.json"))), &counts); err != nil {
		t.Fatal(err)
	}
	metrics := parseMetrics(t, file("metrics"))
	t.Logf("%v", counts)
	if counts["bad"] != 0 {
		t.Errorf("%d journeys are those of two packets:\n%s", counts["bad"], readText(t, file("complaints")))
	}
	// What is not printed is not looked at; how much that is, is checked below.
	checkWhole(t, metrics, stressUnseen(), "recursion", "print_queue_full")
	audited := 0
	for port := 7100; port < 7108; port++ {
		got, allowed := byPort(counts, port)
		audited += got
		if got != allowed {
			t.Errorf("port %d: %d of %d journeys end as packets to this port cannot", port, got-allowed, got)
		}
	}
	want := float64(*stressPackets) / stressSample
	t.Logf("%d journeys of %d datagrams looked at", audited, *stressPackets)
	if chance := 6 * math.Sqrt(want); math.Abs(float64(audited)-want) > chance {
		t.Errorf("%d journeys of datagrams looked at, want %.0f and by chance %.0f more or less", audited, want, chance)
	}
}

// checkWhole: nothing is lost but by these causes. It returns how many packets may
// be missing with hops that were lost, and does not take more than most.
func checkWhole(t *testing.T, metrics families, most int, causes ...string) (unseen int) {
	t.Helper()
	for _, m := range metrics["skbpath_lost_total"].GetMetric() {
		switch n, l := m.GetCounter().GetValue(), labels(m); {
		case n == 0:
		case slices.Contains(causes, l["cause"]):
			t.Logf("lost %v: %v", l, n)
		default:
			t.Errorf("lost %v: %v", l, n)
		}
	}
	if unseen = packetsUnseen(metrics); unseen > most {
		t.Errorf("%d packets may be missing: more than chance explains", unseen)
	}
	return unseen
}

// packetsUnseen: the hops that interrupts hid (hiddenHops) may be the whole ways of
// packets.
func packetsUnseen(metrics families) int {
	return (lost(metrics, "hop", "recursion") + hopsOfWay - 1) / hopsOfWay
}

// byPort counts the journeys to a port, and those of them that end as they may.
func byPort(counts map[string]int, port int) (all, allowed int) {
	ends := map[bool][]string{
		true:  {"delivered", "dropped SOCKET_RCVBUFF"},
		false: {"dropped NO_SOCKET", "dropped NETFILTER_DROP"}, // over the bridge nothing filters
	}[port < 7104]
	if port == 7104 || port == 7105 {
		ends = ends[:1]
	}
	prefix := fmt.Sprintf("udp %d ", port)
	for kind, n := range counts {
		if strings.HasPrefix(kind, prefix) {
			all += n
		}
	}
	for _, end := range ends {
		allowed += counts[prefix+end]
	}
	return all, allowed
}
