// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/vm"
)

// filterCase is a skbpath with a filter, and what it must see of mix.sh: each of
// these kinds of packets, and no other packet.
type filterCase struct {
	name  string
	args  string // as the shell reads them
	kinds []string
	also  func(t *testing.T, dir string, j *journey)
}

func filterCases() []filterCase {
	// "icmp" finds a packet before its tag is put on, or after it is taken off.
	icmp := []string{"plain", "other", "ttl", "ttl reply", "marked", "marked reply", "long", "unreachable", "vlan"}
	all := append(slices.Clone(icmp), "icmp6", "arp", "vlan arp", "udp 5353", "udp 5354", "tcp")
	return []filterCase{
		{name: "icmp", args: "icmp", kinds: icmp},
		{name: "arp", args: "arp", kinds: []string{"arp", "vlan arp"}},
		{name: "udp-port", args: "udp port 5353", kinds: []string{"udp 5353"}},
		{name: "vlan", args: "vlan 5", kinds: []string{"vlan", "vlan arp"}},
		{name: "host", args: "'host 10.3.0.3 and icmp'", kinds: []string{"other"}},
		{name: "bytes", args: "'ip[8] = 33 or len > 1000'", kinds: []string{"ttl", "long"}},
		{name: "interface", args: "--filter.interface=west", kinds: all, also: beginsAtWest},
		{name: "netns-name", args: "--filter.netns=mix-b icmp6", kinds: []string{"icmp6"}, also: beginsInB},
		{name: "netns-inode", args: `--filter.netns="inode:$(cat "$OUT/inode")" 'tcp port 8080'`, kinds: []string{"tcp"}, also: beginsInB},
		{name: "mark", args: "--filter.mark=0x7/0xff", kinds: []string{"marked"}, also: beginsMarked},
	}
}

// kindOf tells the packets of mix.sh apart, by what is in their headers from the
// start: addresses.
func kindOf(j *journey) string {
	f := &j.Flow
	from, to := f.Source.Address, f.Destination.Address
	inVLAN := strings.HasPrefix(from, "10.3.5.")
	switch {
	case f.NetworkType == "arp" && inVLAN:
		return "vlan arp"
	case f.NetworkType == "arp":
		return "arp"
	case f.NetworkType == "ipv6":
		return "icmp6"
	case inVLAN:
		return "vlan"
	}
	peer := strings.TrimPrefix(from+to, "10.3.0.1")
	peer = strings.TrimSuffix(peer, "10.3.0.1")
	kind := map[string]string{
		"udp 10.3.0.5": "udp 5353", "udp 10.3.0.7": "udp 5354", "tcp 10.3.0.9": "tcp",
		"icmp 10.3.0.2": "plain", "icmp 10.3.0.3": "other", "icmp 10.3.0.4": "ttl", "icmp 10.3.0.6": "marked",
		"icmp 10.3.0.8": "long", "icmp 10.3.0.5": "unreachable", "icmp 10.3.0.7": "unreachable",
	}[f.Transport+" "+peer]
	if (kind == "ttl" || kind == "marked") && from == peer {
		kind += " reply"
	}
	return kind
}

func beginsAtWest(t *testing.T, _ string, j *journey) {
	if got := *j.Hops[0].Interface; got != "west" {
		t.Errorf("begins at interface %q", got)
	}
}

func beginsInB(t *testing.T, dir string, j *journey) {
	inode := strings.TrimSpace(readText(t, filepath.Join(dir, "inode")))
	if got := strconv.FormatUint(uint64(*j.Hops[0].Netns), 10); got != inode {
		t.Errorf("begins in network namespace %s, want %s", got, inode)
	}
}

// beginsMarked: the mark is there at first, and is not carried to another
// network namespace (skb_scrub_packet).
func beginsMarked(t *testing.T, _ string, j *journey) {
	if got := *j.Hops[0].Mark; got != 7 {
		t.Errorf("begins with mark %d", got)
	}
	if got := *j.Hops[len(j.Hops)-1].Mark; got != 0 && len(j.namespaces()) > 1 {
		t.Errorf("ends with mark %d, in another namespace", got)
	}
}

// filtersPart runs one skbpath for each case, all at the same time, while mix.sh
// sends its packets once.
func filtersPart() part {
	return part{
		name: "filters",
		build: func(*testing.T, *kernel) vm.Scenario {
			var b strings.Builder
			b.WriteString(". /guest/instances.sh\nsh -eu /scenario/mix-net.sh\nstat -L -c %i /run/netns/mix-b >\"$OUT/inode\"\n")
			var names []string
			for _, c := range filterCases() {
				fmt.Fprintf(&b, "start %s %s\n", c.name, c.args)
				names = append(names, c.name)
			}
			fmt.Fprintf(&b, "ready %[1]s\nsh -eu /scenario/mix.sh\nstop %[1]s\n", strings.Join(names, " "))
			return vm.Scenario{Name: "filters", Script: b.String(), Timeout: partTimeout}
		},
		check: func(t *testing.T, _ *kernel, r vm.ScenarioResult) {
			for _, c := range filterCases() {
				t.Run(c.name, func(t *testing.T) { c.check(t, r.Dir) })
			}
		},
	}
}

func (c *filterCase) check(t *testing.T, dir string) {
	all := readInstance(t, dir, c.name)
	seen := make(map[string]bool)
	for _, j := range all {
		before := t.Failed()
		kind := kindOf(j)
		if !slices.Contains(c.kinds, kind) {
			t.Errorf("seen, and must not be: a packet of kind %q", kind)
		} else if c.also != nil && j.ParentID == "" { // what is made from a packet is followed in any case
			c.also(t, dir, j)
		}
		if t.Failed() && !before {
			t.Log(j)
		}
		seen[kind] = true
	}
	for _, kind := range c.kinds {
		if !seen[kind] {
			t.Errorf("no packet of kind %q is seen, only %q", kind, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// readInstance checks what every skbpath must leave, and returns its journeys.
func readInstance(t *testing.T, dir, name string) []*journey {
	t.Helper()
	if got := strings.TrimSpace(readText(t, filepath.Join(dir, name+".exit"))); got != "0" {
		t.Errorf("exit status %s after SIGTERM:\n%s", got, readText(t, filepath.Join(dir, name+".log")))
	}
	all := decode(t, filepath.Join(dir, name+".json"))
	checkForms(t, all)
	return all
}
