// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/golden.txt anew with the installed tcpdump")

const goldenFile = "testdata/golden.txt"

// expressions is what the golden and the equivalence tests run over.
func expressions() []string {
	return []string{
		"ip",
		"ip6",
		"arp",
		"rarp",
		"tcp",
		"udp",
		"sctp",
		"icmp",
		"icmp6",
		"not ip",
		"not tcp port 80",
		"ip proto 132",
		"ip6 proto 17",
		"proto 6",
		"ether proto 0x88cc",
		"host 10.0.0.2",
		"src host 10.0.0.1",
		"dst host 10.0.0.2",
		"src 10.0.0.1 and dst 10.0.0.2",
		"host 2001:db8::2",
		"host 10.0.0.2 and icmp",
		"host 10.0.0.1 or host fe80::1",
		"arp host 10.0.0.1",
		"net 10.0.0.0/8",
		"src net 192.168.0.0 mask 255.255.0.0",
		"net 10",
		"dst net 2001:db8::/32",
		"port 80",
		"tcp port 80",
		"udp dst port 5353",
		"tcp src port 443",
		"sctp port 80",
		"port http",
		"portrange 50-100",
		"tcp portrange 400-500",
		"tcp port 80 or 443",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"tcp[tcpflags] == tcp-syn",
		"tcp[13] & 2 != 0 and not src net 192.168/16",
		"tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
		"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
		"icmp[icmptype] == icmp-echo",
		"icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply",
		"icmp6[icmp6type] == icmp6-neighborsolicit",
		"ip[9]==6",
		"ip[6:2] & 0x1fff != 0",
		"ip[0] & 0xf != 5",
		"ip6[6] == 44",
		"udp[8:4] = 0xabababab",
		"ether[12:2] == 0x0800",
		"ether[0] & 1 = 0 and ip[16] >= 224",
		"ip[ip[9]] == 1",
		"ip[9] << ip[8] == 0",
		"ip[2:2] >> ip[9] > 0",
		"ip[2:2] % ip[9] == 4",
		"ip[2:2] / ip[9] == 6",
		"-ip[9] = 0xfffffffa",
		"ether host 02:00:00:00:00:01",
		"ether src 02:00:00:00:00:02",
		"ether broadcast",
		"ether multicast",
		"ip multicast",
		"ip6 multicast",
		"vlan",
		"vlan 5",
		"vlan 5 and tcp port 80",
		"vlan 7 and vlan 5 and udp",
		"tcp port 80 or (vlan 5 and tcp port 80)",
		"mpls 1024",
		"mpls and host 10.0.0.1",
		"pppoes 9",
		"pppoes and tcp port 80",
		"geneve 9 and tcp port 80",
		"len > 100",
		"len = 54",
		"len - 40 >= ip[2:2]",
		"greater 1000",
		"less 60",
		"less 1500 and not greater 1400 and tcp",
		"stp",
		"llc",
		"ah or esp",
		"host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3 or net 172.16/12 or portrange 1-1023",
	}
}

// dump writes a program as tcpdump -ddd does.
func dump(t *testing.T, expr string) string {
	t.Helper()
	raw, err := pcapCompile(expr)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintln(&b, len(raw))
	for _, insn := range raw {
		fmt.Fprintln(&b, insn.Op, insn.Jt, insn.Jf, insn.K)
	}
	return b.String()
}

// golden reads the dumps of tcpdump, by expression.
func golden(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	dumps := make(map[string]string)
	for section := range strings.SplitSeq(string(text), "filter: ") {
		if expr, program, ok := strings.Cut(section, "\n"); ok {
			dumps[expr] = program
		}
	}
	return dumps
}

func TestProgramsAreTcpdumps(t *testing.T) {
	want := golden(t)
	if len(want) != len(expressions()) {
		t.Errorf("%s holds %d expressions, the test %d: run with -update", goldenFile, len(want), len(expressions()))
	}
	for _, expr := range expressions() {
		t.Run(expr, func(t *testing.T) {
			if got := dump(t, expr); got != want[expr] {
				t.Errorf("compiled to\n%s\ntcpdump makes of it\n%s", got, want[expr])
			}
		})
	}
}

// TestGoldenIsCurrent guards the golden file itself: it is what tcpdump says.
func TestGoldenIsCurrent(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("SKIPPED, golden file not checked: tcpdump is not installed")
	}
	var all strings.Builder
	for _, expr := range expressions() {
		program, err := exec.Command(tcpdump, "-ddd", "-s", "65535", "-y", "EN10MB", "--", expr).Output()
		if err != nil {
			t.Fatalf("tcpdump on %q: %v", expr, err)
		}
		fmt.Fprintf(&all, "filter: %s\n%s", expr, program)
	}
	if *update {
		if err := os.WriteFile(goldenFile, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(stored) != all.String() {
		t.Errorf("%s differs from what the installed tcpdump prints: run with -update", goldenFile)
	}
}
