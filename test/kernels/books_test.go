// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/vm"
)

// flood is enough to fill the ring buffer several times over while nobody reads:
// a packet that crosses a router leaves a record of more than 1 KiB. It is also more
// packets than can be followed at a time.
const flood = 20000

// booksMayHide: chance has hidden a hundred hops. No packet of the books has less
// than hopsOfWay functions on its way.
const (
	booksMayHide = 400
	hopsOfWay    = 20
)

var exact = flag.Bool("exact", false, "hold the books to the packet although interrupts hid hops")

// booksPart sends known numbers of packets and holds what skbpath says of them
// against what the kernel itself counts.
func booksPart() part {
	return part{
		name: "books",
		build: func(_ *testing.T, k *kernel) vm.Scenario {
			script := fmt.Sprintf("FLOOD=%d FUNCTIONS='%s'\n. /guest/books.sh\n", flood, booksFunctions(k))
			return vm.Scenario{Name: "books", Script: script, Timeout: partTimeout}
		},
		check: checkBooks, mayHide: booksMayHide, wantsNone: 3,
	}
}

// booksFunctions: all, but where a kernel has perf kprobes only some, because
// attaching and detaching all of them takes a minute.
func booksFunctions(k *kernel) string {
	if k.backend == "kprobe" {
		return "(ip|__ip|ip6|ipv6|icmpv6|ping|udpv6|__udp6|rawv6|raw6|udp|__udp|skb|tcp|icmp|inet|__netif|netif|dev|napi|enqueue|br|nf|sock|raw)_.*"
	}
	return ".*"
}

func checkBooks(t *testing.T, k *kernel, r vm.ScenarioResult) {
	file := func(name string) string { return filepath.Join(r.Dir, name) }
	printed := readInstance(t, r.Dir, "books")
	checkLengths(t, printed)
	all := selectJourneys(printed, inBooks)
	metrics := parseMetrics(t, file("metrics"))
	unseen := checkWhole(t, metrics, booksMayHide/hopsOfWay, "recursion")
	flooded := parseMetrics(t, file("metrics-flood"))
	t.Run("flood", func(t *testing.T) { checkFlood(t, metrics, flooded) })
	crowded := parseMetrics(t, file("metrics-crowd"))
	t.Run("crowd", func(t *testing.T) { checkCrowd(t, flooded, crowded) })
	t.Run("printed", func(t *testing.T) { checkPrinted(t, printed, metrics, crowded) })
	if unseen > 0 && !*exact {
		t.Logf("NOT EXACT: interrupts hid hops, so that up to %d packets may be missing; only the devices' counts are compared", unseen)
		checkNearly(t, all, file("devices"), unseen)
		return
	}
	checkLineage(t, all)
	snmp := make(map[string]int)
	for _, name := range []string{"a", "r", "b"} {
		readSNMP(t, snmp, name, file(name+".snmp"))
		readSNMP6(t, snmp, name, file(name+".snmp6"))
	}
	snmp["nft"], snmp["nft6"] = readCount(t, file("nft-ip")), readCount(t, file("nft-ip6"))
	snmp["queue sent"], snmp["queue dropped"] = readQueue(t, file("qdisc"))
	if n := len(selectJourneys(printed, isMarker)); n != 3 {
		t.Errorf("%d journeys of the packets that close the books, want 3", n)
	}
	t.Run("datagrams", func(t *testing.T) { checkDatagrams(t, all, snmp) })
	t.Run("ping", func(t *testing.T) { checkPings(t, all, snmp) })
	t.Run("fragments", func(t *testing.T) { checkFragments(t, all, snmp) })
	t.Run("bridge", func(t *testing.T) { checkBridge(t, all) })
	t.Run("tcp", func(t *testing.T) { checkTCP(t, all, snmp) })
	t.Run("offload", func(t *testing.T) { checkOffload(t, all) })
	t.Run("ipv6", func(t *testing.T) { checkIPv6(t, all, snmp) })
	t.Run("queue", func(t *testing.T) { checkQueue(t, all, snmp) })
	t.Run("ip", func(t *testing.T) { checkIP(t, k, all, snmp) })
	t.Run("devices", func(t *testing.T) { checkDevices(t, all, file("devices")) })
	t.Run("metrics", func(t *testing.T) { checkTotals(t, all, metrics) })
	t.Run("waits", func(t *testing.T) { checkWaitTotals(t, printed, metrics) })
}

const (
	floodPort = 7040 // and three more
	crowdPort = 7060
	marker    = "10.6.1.254" // pinged when the books are closed
	cuts      = "k-near"     // the device before which software cuts packets into segments
	merges    = "k-far"      // the device at which GRO merges them
)

// inBooks: what was sent before the kernel's counts were taken.
func inBooks(j *journey) bool {
	return !isMarker(j) && !isAfter(j)
}

func isMarker(j *journey) bool {
	return j.Flow.Source.Address == marker || j.Flow.Destination.Address == marker
}

// isAfter: what was sent after that, and after the metrics were taken.
func isAfter(j *journey) bool {
	port := j.Flow.Destination.Port
	return j.Flow.Transport == "udp" && (port >= floodPort && port < floodPort+4 || port == crowdPort)
}

// checkLengths: a datagram's length tells its port, so that a hop of another
// packet would not fit.
func checkLengths(t *testing.T, all []*journey) {
	t.Helper()
	checked, bad := 0, 0
	for _, j := range all {
		port, base := j.Flow.Destination.Port, 7001
		if port >= floodPort {
			base = floodPort
		}
		if j.Flow.Transport != "udp" || port < base || port > base+3 {
			continue
		}
		checked++
		for _, h := range j.Hops {
			switch int(*h.Length) - (100 + port - base) {
			case 0, 8, 8 + 20, 8 + 20 + 14: // the payload, with UDP, IP, Ethernet headers
				continue
			}
			if bad++; bad <= 3 {
				t.Errorf("length %d in %s does not fit port %d: %s", *h.Length, h.Function, port, j)
			}
			break
		}
	}
	t.Logf("%d journeys have the length of one packet all along, %d have not", checked-bad, bad)
	if checked < 1000 {
		t.Errorf("%d journeys looked at, want more than 1000", checked)
	}
}

// readSNMP reads /proc/net/snmp, whose lines come in pairs: names, values.
func readSNMP(t *testing.T, into map[string]int, namespace, file string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(readText(t, file)), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for k := 1; k < len(names) && k < len(values); k++ {
			n, err := strconv.Atoi(values[k])
			if err != nil {
				t.Fatalf("%s: %v in %q", file, err, lines[i+1])
			}
			into[namespace+" "+strings.TrimSuffix(names[0], ":")+names[k]] = n
		}
	}
}

// readSNMP6 reads /proc/net/snmp6: a name and a value a line.
func readSNMP6(t *testing.T, into map[string]int, namespace, file string) {
	t.Helper()
	for line := range strings.Lines(readText(t, file)) {
		var name string
		var n int
		if _, err := fmt.Sscan(line, &name, &n); err != nil {
			t.Fatalf("%s: %v in %q", file, err, line)
		}
		into[namespace+" "+name] = n
	}
}

// tally counts journeys by what they descend by and how they end: "delivered",
// "clone delivered".
func tally(all []*journey) map[string]int {
	counts := make(map[string]int)
	for _, j := range all {
		counts[strings.TrimSpace(j.Lineage+" "+j.Outcome)]++
	}
	return counts
}

func checkTally(t *testing.T, all []*journey, want map[string]int) {
	t.Helper()
	got := tally(all)
	if maps.Equal(got, want) {
		return
	}
	t.Errorf("%v, want %v", got, want)
	shown := make(map[string]bool)
	for _, j := range all {
		kind := strings.TrimSpace(j.Lineage + " " + j.Outcome)
		if got[kind] != want[kind] && !shown[kind] {
			t.Log(j)
			shown[kind] = true
		}
	}
}

// checkCount holds one of the kernel's counts against what was sent.
func checkCount(t *testing.T, snmp map[string]int, name string, want int) {
	t.Helper()
	if got, ok := snmp[name]; !ok || got != want {
		t.Errorf("the kernel counts %d for %s, want %d", got, name, want)
	}
}

// checkDatagrams: 300 to three ports in turn, at one of which somebody listens,
// at one nobody, and one is behind a rule that drops.
func checkDatagrams(t *testing.T, all []*journey, snmp map[string]int) {
	to := func(port int) []*journey {
		return selectJourneys(all, (&claim{transport: "udp", to: "10.6.2.2", port: port}).fits)
	}
	checkCount(t, snmp, "a UdpOutDatagrams", 300+50+200+snmp["queue sent"]) // what the queue drops was not sent
	checkCount(t, snmp, "b UdpInDatagrams", 100+50+200)
	checkCount(t, snmp, "b UdpNoPorts", 100)
	checkCount(t, snmp, "nft", 100)
	checkTally(t, to(7001), map[string]int{"delivered": 100})
	checkTally(t, to(7002), map[string]int{"dropped": 100})
	checkTally(t, to(7003), map[string]int{"dropped": 100})
	for port, place := range map[int]drop{
		7002: {Reason: "NO_SOCKET", Subsystem: "core", Function: "__udp4_lib_rcv|udp_rcv"},
		7003: {Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nft_do_chain"},
	} {
		one := claim{drop: &place, whole: true}
		for _, j := range to(port) {
			one.checkOne(t, j)
		}
	}
}

// checkPings: 50 requests, as many replies, each of which ping's raw socket gets
// a clone of; and 100 errors that come back for datagrams to a closed port.
func checkPings(t *testing.T, all []*journey, snmp map[string]int) {
	checkCount(t, snmp, "a IcmpOutEchos", 50)
	checkCount(t, snmp, "a IcmpInEchoReps", 50)
	checkCount(t, snmp, "a IcmpInDestUnreachs", 100)
	requests := selectJourneys(all, (&claim{transport: "icmp", from: "10.6.1.1"}).fits)
	checkTally(t, requests, map[string]int{"consumed": 50})
	back := selectJourneys(all, (&claim{transport: "icmp", to: "10.6.1.1"}).fits)
	checkTally(t, back, map[string]int{"dropped": 50, "clone delivered": 50, "consumed": 100})
	// Nobody but ping's raw socket waits for replies.
	one := claim{drop: &drop{Reason: "NO_SOCKET", Subsystem: "core", Function: "icmp_rcv|ping_rcv"}, whole: true}
	for _, j := range back {
		if j.Drop != nil {
			one.checkOne(t, j)
		}
	}
}

// checkFragments: 50 datagrams of three fragments each. Put together again, the
// first gives up its body to the last to arrive, which ends as a fragment and
// goes on as the datagram; a clone of it stays in the list with the second.
func checkFragments(t *testing.T, all []*journey, snmp map[string]int) {
	checkCount(t, snmp, "a IpFragCreates", 150)
	checkCount(t, snmp, "b IpReasmReqds", 150)
	checkCount(t, snmp, "b IpReasmOKs", 50)
	want := map[string]int{"absorbed": 50, "fragment absorbed": 100, "clone absorbed": 50, "clone delivered": 50}
	checkTally(t, selectJourneys(all, func(j *journey) bool { return j.Flow.Destination.Port == 7010 }), want)
}

func checkBridge(t *testing.T, all []*journey) {
	across := selectJourneys(all, (&claim{transport: "udp", to: "10.6.3.2", port: 7020}).fits)
	checkTally(t, across, map[string]int{"delivered": 200})
	path := claim{interfaces: []string{"k-near", "k-port1", "k-port2", "k-far"}, whole: true}
	for _, j := range across {
		path.checkOne(t, j)
	}
}

func overTCP(port int) func(*journey) bool {
	return func(j *journey) bool {
		return j.Flow.Transport == "tcp" && (j.Flow.Source.Port == port || j.Flow.Destination.Port == port)
	}
}

// checkOffload: TCP's long packets are cut into segments, which GRO merges into
// fewer again.
func checkOffload(t *testing.T, all []*journey) {
	offloaded := selectJourneys(all, overTCP(7050))
	counts := tally(offloaded)
	t.Logf("%v", counts)
	if counts["consumed"] < 10 || counts["segment absorbed"] < 100 || counts["segment delivered"] < 10 {
		t.Error("not cut, or not merged")
	}
	if counts["expired"]+counts["transmitted"]+counts["segment expired"]+counts["segment transmitted"]+counts["segment consumed"] > 0 {
		t.Error("some segments are not accounted for")
	}
	for _, j := range offloaded {
		if last := j.Hops[len(j.Hops)-1]; j.Outcome == "absorbed" && j.visits("skb_gro_receive") && j.absorber == nil {
			t.Errorf("%s: merged into %q, which is no journey (%s)", j, j.AbsorbedBy, last.Function)
			break
		}
	}
}

// checkTCP: every segment that one side has sent is one packet at the other.
func checkTCP(t *testing.T, all []*journey, snmp map[string]int) {
	counts := tally(selectJourneys(all, overTCP(7030)))
	t.Logf("%v; segments sent: %d and %d", counts, snmp["a TcpOutSegs"], snmp["b TcpOutSegs"])
	if counts["delivered"] < 10 || counts["expired"]+counts["transmitted"] > 0 {
		t.Error("some segments are not accounted for")
	}
}

// checkIPv6: as checkDatagrams and checkPings. 6.1 calls it a drop when it has answered
// a request.
func checkIPv6(t *testing.T, all []*journey, snmp map[string]int) {
	const a, b = "fd00:6:1::1", "fd00:6:2::2"
	for name, want := range map[string]int{
		"a Udp6OutDatagrams": 300, "b Udp6InDatagrams": 100, "b Udp6NoPorts": 100, "nft6": 100,
		"a Icmp6InDestUnreachs": 100, "b Icmp6InEchos": 50, "a Icmp6InEchoReplies": 50,
	} {
		checkCount(t, snmp, name, want)
	}
	for port, outcome := range map[int]string{7071: "delivered", 7072: "dropped", 7073: "dropped"} {
		checkTally(t, selectJourneys(all, (&claim{transport: "udp", to: b, port: port}).fits), map[string]int{outcome: 100})
	}
	requests := tally(selectJourneys(all, (&claim{transport: "icmpv6", from: a}).fits))
	if requests["consumed"]+requests["dropped"] != 50 || len(requests) != 1 {
		t.Errorf("of 50 echo requests, %v", requests)
	}
	back := tally(selectJourneys(all, (&claim{transport: "icmpv6", to: a}).fits))
	t.Logf("requests %v, replies and errors %v", requests, back)
	if back["clone delivered"] != 50 || back["consumed"]+back["dropped"] != 50+100 || len(back) > 3 {
		t.Errorf("of 50 replies, which ping gets clones of, and 100 errors, %v", back)
	}
}

// readQueue reads what tc -s qdisc says.
func readQueue(t *testing.T, file string) (sent, dropped int) {
	t.Helper()
	text := readText(t, file)
	at := strings.Index(text, "Sent ")
	if at < 0 {
		t.Fatalf("no counts in %q", text)
	}
	var bytes int
	if _, err := fmt.Sscanf(text[at:], "Sent %d bytes %d pkt (dropped %d,", &bytes, &sent, &dropped); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return sent, dropped
}

// checkQueue: of 200 datagrams the queue before the device takes as many as it says,
// and drops the others.
func checkQueue(t *testing.T, all []*journey, snmp map[string]int) {
	sent, dropped := snmp["queue sent"], snmp["queue dropped"]
	t.Logf("tbf: sent %d, dropped %d", sent, dropped)
	if sent == 0 || dropped == 0 || sent+dropped != 200 {
		t.Errorf("the queue has sent %d and dropped %d, want 200 in all", sent, dropped)
	}
	checkTally(t, selectJourneys(all, (&claim{transport: "udp", to: "10.6.4.2", port: 7080}).fits), map[string]int{"transmitted": sent, "dropped": dropped})
}

// checkIP: what IP and TCP of each host count is what has gone through them.
// OutRequests is counted in __ip_local_out (6.1: in ip_output), where it is not known yet
// that a packet matches, ForwDatagrams in ip_forward (6.1: in ip_forward_finish),
// InReceives in ip_rcv_core, InSegs in tcp_v4_rcv: one for a packet, however many segments
// it stands for.
func checkIP(t *testing.T, k *kernel, all []*journey, snmp map[string]int) {
	hostOf := map[string]string{
		"10.6.1.1": "a", "10.6.3.1": "a", "10.6.4.1": "a", "10.6.2.2": "b", "10.6.3.2": "b", "10.6.1.254": "r", "10.6.2.254": "r",
		"k-east": "a", "k-near": "a", "k-west": "b", "k-far": "b", "k-left": "r", "k-right": "r",
	}
	forwards := "ip_forward"
	if k.series == "6.1" {
		forwards = "ip_forward_finish"
	}
	got := make(map[string]int)
	for _, j := range all {
		counted := make(map[string]bool) // ip_rcv is not there for each, ip_rcv_core not on each kernel
		for _, h := range j.Hops {
			name := ""
			switch h.Function {
			case "ip_output": // of the router too, once counted
				if j.Lineage == "fragment" {
					continue // was cut after it was counted
				}
				name = hostOf[j.Flow.Source.Address] + " IpOutRequests"
			case forwards:
				name = "r IpForwDatagrams"
			case "ip_rcv", "ip_rcv_core":
				name = hostOf[*h.Interface] + " IpInReceives"
			case tcpInput:
				name = hostOf[*h.Interface] + " TcpInSegs"
			}
			if name != "" && !counted[name] {
				counted[name] = true
				got[name]++
			}
		}
	}
	for _, name := range []string{
		"a IpOutRequests", "b IpOutRequests", "r IpForwDatagrams", "a IpInReceives", "r IpInReceives", "b IpInReceives", "a TcpInSegs", "b TcpInSegs",
	} {
		t.Logf("%s: %d", name, snmp[name])
		if got[name] != snmp[name] || snmp[name] == 0 {
			t.Errorf("%d journeys count for %s, the kernel has %d", got[name], name, snmp[name])
		}
	}
}

// checkDevices: as many visits to the function that hands a packet to a device
// as the device has sent, and as many arrivals as it has received.
func checkDevices(t *testing.T, all []*journey, file string) {
	checkNearly(t, all, file, 0)
}

// checkNearly lets so many packets be missing.
func checkNearly(t *testing.T, all []*journey, file string, unseen int) {
	t.Helper()
	out, in := make(map[string]int), make(map[string]int)
	for _, j := range all {
		for _, h := range j.Hops {
			switch h.Function {
			case sent:
				out[*h.Interface]++
			case "__netif_receive_skb":
				if *h.Interface != merges {
					in[*h.Interface]++
				}
			case "napi_gro_receive", "gro_receive_skb":
				in[*h.Interface]++
			}
		}
	}
	devices, packets := 0, 0
	for line := range strings.Lines(readText(t, file)) {
		var name string
		var sent, received int
		if _, err := fmt.Sscan(line, &name, &sent, &received); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		devices++
		packets += sent
		t.Logf("%s: sent %d, received %d", name, sent, received)
		if name == cuts {
			out[name] = in["k-port1"] // it gets all segments of a packet in one call
		}
		tooFew := out[name]+unseen < sent || in[name]+unseen < received
		if tooFew || out[name] > sent || in[name] > received {
			t.Errorf("%s: %d journeys leave by it and %d come in; the kernel counts %d and %d", name, out[name], in[name], sent, received)
		}
	}
	if devices != 10 || packets < 2000 {
		t.Errorf("%d devices that have sent %d packets, want 10 and more than 2000", devices, packets)
	}
}

// checkTotals: the metrics count what is printed, and nothing expired. The
// marker's own journeys are among them: a request, a reply and ping's clone of it.
func checkTotals(t *testing.T, all []*journey, metrics families) {
	want := make(map[string]int)
	for _, j := range all {
		want[j.Outcome]++
	}
	want["consumed"]++
	want["dropped"]++
	want["delivered"]++
	got := outcomes(metrics)
	for outcome, n := range got {
		if n != want[outcome] {
			t.Errorf("skbpath_journeys_total has %d %s, printed are %d", n, outcome, want[outcome])
		}
	}
	if len(got) != 6 || got["expired"] != 0 {
		t.Errorf("outcomes %v", got)
	}
}

// checkWaitTotals: the metrics count the waits that are printed, by the same names.
func checkWaitTotals(t *testing.T, printed []*journey, metrics families) {
	want := make(map[[2]string]int)
	for _, j := range printed {
		if isAfter(j) {
			continue
		}
		for _, w := range j.Waits {
			want[[2]string{w.From, w.To}]++
		}
	}
	got := make(map[[2]string]int)
	for _, m := range metrics["skbpath_wait_duration_seconds"].GetMetric() {
		l := labels(m)
		got[[2]string{l["from"], l["to"]}] = int(m.GetHistogram().GetSampleCount())
	}
	if !maps.Equal(got, want) || len(got) < 5 {
		t.Errorf("skbpath_wait_duration_seconds has\n%v, printed are\n%v", got, want)
	}
}

func outcomes(metrics families) map[string]int {
	counts := make(map[string]int)
	for _, m := range metrics["skbpath_journeys_total"].GetMetric() {
		counts[labels(m)["outcome"]] = int(m.GetCounter().GetValue())
	}
	return counts
}

func lost(metrics families, what, cause string) int {
	for _, m := range metrics["skbpath_lost_total"].GetMetric() {
		if l := labels(m); l["what"] == what && l["cause"] == cause {
			return int(m.GetCounter().GetValue())
		}
	}
	return 0
}

// atSockets counts the datagrams that reached their socket: if its reader is slow, the
// buffer may be full.
func atSockets(metrics families) int {
	return outcomes(metrics)["delivered"] + outcomes(metrics)["dropped"]
}

// checkFlood: what the full ring buffer had no room for is counted as lost, and
// every packet by its outcome, to the packet.
func checkFlood(t *testing.T, before, after families) {
	arrived := atSockets(after) - atSockets(before)
	noRoom := lost(after, "journey", "ring_full")
	t.Logf("%d sent: %d counted, of which the ring buffer lost %d", flood, arrived, noRoom)
	if noRoom == 0 || noRoom >= flood {
		t.Errorf("%d journeys found the ring buffer full", noRoom)
	}
	unseen := packetsUnseen(after)
	if arrived > flood || arrived+unseen < flood {
		t.Errorf("%d packets are accounted for and up to %d hidden by interrupts, %d were sent", arrived, unseen, flood)
	}
	for outcome, n := range outcomes(after) {
		if outcome != "delivered" && outcome != "dropped" && unseen == 0 && n != outcomes(before)[outcome] {
			t.Errorf("%d more are %s", n-outcomes(before)[outcome], outcome)
		}
	}
	dropped, noBuffer := outcomes(after)["dropped"]-outcomes(before)["dropped"], dropsFor(after, "SOCKET_RCVBUFF")-dropsFor(before, "SOCKET_RCVBUFF")
	if dropped > noBuffer || dropped+unseen < noBuffer {
		t.Errorf("%d are dropped, %d of them for a full socket", dropped, noBuffer)
	}
}

// dropsFor sums the host's drops for a reason.
func dropsFor(metrics families, reason string) int {
	sum := 0
	for _, m := range metrics["skbpath_dropped_packets_total"].GetMetric() {
		if labels(m)["reason"] == reason {
			sum += int(m.GetCounter().GetValue())
		}
	}
	return sum
}

// checkPrinted: what was counted in flood and crowd was printed or is counted as lost on
// its way there.
func checkPrinted(t *testing.T, printed []*journey, before, after families) {
	counted := atSockets(after) - atSockets(before)
	there := len(selectJourneys(printed, func(j *journey) bool {
		port := j.Flow.Destination.Port
		return j.Flow.Transport == "udp" && (port >= 7040 && port <= 7043 || port == 7060)
	}))
	noRoom, queue := lost(after, "journey", "ring_full"), lost(after, "journey", "print_queue_full")
	if there+noRoom+queue != counted {
		t.Errorf("%d printed, for %d no room in the ring buffer and for %d none in the queue: %d were counted", there, noRoom, queue, counted)
	}
}

// checkCrowd: packets for which there was no room are counted as lost, each once
// whatever it went on to visit, and the others by their outcome.
func checkCrowd(t *testing.T, before, after families) {
	arrived := atSockets(after) - atSockets(before)
	passed := lost(after, "journey", "table_full") - lost(before, "journey", "table_full")
	t.Logf("%d sent: %d followed, %d passed by", flood, arrived, passed)
	if passed == 0 || arrived < 7000 {
		t.Errorf("%d packets followed and %d not, want half of the room taken at least, and some left over", arrived, passed)
	}
	unseen := packetsUnseen(after)
	if sum := arrived + passed; sum > flood || sum+unseen < flood {
		t.Errorf("%d packets are accounted for and up to %d hidden by interrupts, %d were sent", sum, unseen, flood)
	}
}
