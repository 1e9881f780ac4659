// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestEmptyExpressionFiltersNothing(t *testing.T) {
	for _, expr := range []string{"", " ", "\t\n"} {
		body, _, err := Compile(expr)
		if body != nil || err != nil {
			t.Errorf("Compile(%q) = %v, %v; want nil, nil", expr, body, err)
		}
	}
}

func TestErrors(t *testing.T) {
	const atEnd = "syntax error: the expression ends too early"
	tests := []struct {
		expr   string
		column int    // 0 if the message has none
		msg    string // empty if it is libpcap's own, which differs between versions
	}{
		{"tcp prot 80", 5, `syntax error at "prot"`},
		{"tpc port 80", 1, `syntax error at "tpc"`},
		{"foo", 1, `syntax error at "foo"`},
		{"tcp port", 9, atEnd},
		{"tcp and", 8, atEnd},
		{"and tcp", 1, `syntax error at "and"`},
		{"tcp or or udp", 8, `syntax error at "or"`},
		{"tcp udp", 5, `syntax error at "udp"`},
		{"not", 4, atEnd},
		{"(tcp", 5, atEnd},
		{"tcp)", 4, `syntax error at ")"`},
		{"((tcp or udp) and port 80", 26, atEnd},
		{"(tcp or udp)) and port 80", 13, `syntax error at ")"`},
		{"()", 2, `syntax error at ")"`},
		{"ip[", 4, atEnd},
		{"ip[0", 5, atEnd},
		{"ip[0]", 6, atEnd},
		{"ip[0] =", 8, atEnd},
		{"ip[0] = 5 =", 11, `syntax error at "="`},
		{"ip[0] === 5", 9, `syntax error at "="`},
		{"ip[2:3] = 5", 7, ""},
		{"ip[2:2:2] = 5", 7, ""},
		{"ip[x] = 5", 4, `syntax error at "x"`},
		{"ip[9 = 6", 6, `syntax error at "="`},
		{"ip9] = 6", 1, `syntax error at "ip9"`},
		{"host", 5, atEnd},
		{"host 10.0.0.1 10.0.0.2", 15, `syntax error at "10.0.0.2"`},
		{"host 10.0.0.1; drop", 14, `syntax error at ";"`},
		{"host 10.0.0.1 && && tcp", 18, `syntax error at "&&"`},
		{"host 10.0.0.256", 6, ""},
		{"host 10.0.0.1/24", 15, ""},
		{"host no..such", 6, ""},
		{"tcp and host no..such", 14, ""},
		{"host 2001:db8::g", 6, `syntax error at "2001:db8::g"`},
		{"host 2001:db8:::1", 6, `syntax error at "2001:db8:::1"`},
		{"ip host ::1", 1, ""},
		{"net 10.0.0.0/33", 14, ""},
		{"net 10.0.0.1/24", 14, ""},
		{"net 10.0.0.0 mask", 18, atEnd},
		{"net 2001:db8::/129", 16, ""},
		{"port nosuchport", 6, ""},
		{"tcp port 80 or nosuchport", 16, ""},
		{"port 70000", 6, ""},
		{"tcp port 80 and port 70000", 22, ""},
		{"port -1", 6, `syntax error at "-1"`},
		{"portrange 1-99999", 11, ""},
		{"portrange a-b", 11, ""},
		{"icmp port 80", 6, ""},
		{"ip proto nosuchproto", 10, ""},
		{"tcp proto 6", 11, ""},
		{"ether host 02:00:00:00:00", 12, ""},
		{"ether host nosuchhost", 12, ""},
		{"ether host 10.0.0.1", 12, ""},
		{"vlan x", 6, `syntax error at "x"`},
		{"vlan 5000", 6, ""},
		{"vlan 5 tcp", 8, `syntax error at "tcp"`},
		{"less", 5, atEnd},
		{"greater x", 9, `syntax error at "x"`},
		{"len > ", 7, atEnd},
		{"len", 4, atEnd},
		{"tcp[0] << 40 = 0", 11, ""},
		{"ip[0] / 0 = 1", 9, ""},
		{"tcp and udp", 9, ""},
		{"arp and tcp port 80", 9, ""},
		{"tcp[tcpflags] & tcp-sin != 0", 17, `syntax error at "tcp-sin"`},
		{"type mgt", 6, ""},
		{"gateway 10.0.0.1", 1, ""},
		{"port 80 @ eth0", 9, `syntax error at "@"`},
		{"port 80 # web", 9, `syntax error at "#"`},
		{"tcp → udp", 5, `syntax error at "→"`},
		{"→ tcp", 1, `syntax error at "→"`},
		{`host "10.0.0.1"`, 6, `syntax error at "\""`},
		{"tcp\nprot 80", 5, `syntax error at "prot"`},
		{"tcp\x00 port 80", 4, `NUL byte`},
		{"99999999999", 1, ""},
		{"port 99999999999", 6, ""},

		{"inbound", 1, `"inbound" is not in the packet; use --filter.interface`},
		{"tcp and outbound", 9, `"outbound" is not in the packet; use --filter.interface`},
		{"not inbound and host 10.0.0.1", 5, `"inbound" is not in the packet; use --filter.interface`},
		{"ifindex 3", 1, `"ifindex" is not in the packet; use --filter.interface`},
		{"geneve and inbound", 12, `"inbound" is not in the packet; use --filter.interface`},
		{"vlan 5 and ifindex 3", 12, `"ifindex" is not in the packet; use --filter.interface`},
		{"ifname eth0", 8, `what pf(4) logs is not in the packet; for an interface use --filter.interface`},
		{"on eth0", 4, `what pf(4) logs is not in the packet; for an interface use --filter.interface`},
		{"ip broadcast", 4, `"ip broadcast" needs a netmask; use "ip dst host" with the broadcast address`},
		{"tcp and ip broadcast", 12, `"ip broadcast" needs a netmask; use "ip dst host" with the broadcast address`},
		{"ip6 protochain 6", 5, `"protochain" needs a loop, which a filter in the kernel cannot have; use "proto"`},
		{"ip protochain tcp", 15, `syntax error at "tcp"`},
		{"geneve or ip", 1, `"geneve" before "or" makes the other side look for a tunnel too; write it last`},
		{"ether[274] = 0", 0, `can never match: it reads at byte 274 or beyond, but at most 274 bytes of a frame are captured`},
		{"ip[300:4] = 0", 0, `can never match: it reads at byte 314 or beyond, but at most 274 bytes of a frame are captured`},
		{"tcp[300] = 0", 0, `can never match: it reads at byte 314 or beyond, but at most 274 bytes of a frame are captured`},
		{"tcp[70000] = 0", 0, `can never match: it reads at byte 70014 or beyond, but at most 274 bytes of a frame are captured`},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			body, _, err := Compile(tt.expr)
			if err == nil {
				t.Fatalf("Compile(%q) gives %d instructions", tt.expr, len(body))
			}
			checkError(t, tt.expr, err)
			got := err.Error()
			t.Log(got)
			if !strings.HasPrefix(got, fmt.Sprintf("filter %q: ", tt.expr)) {
				t.Errorf("%s does not begin with the expression", got)
			}
			if column := fmt.Sprintf(" (column %d)", tt.column); tt.column > 0 && !strings.HasSuffix(got, column) {
				t.Errorf("%s: want%s", got, column)
			}
			if tt.column == 0 && strings.Contains(got, "(column") {
				t.Errorf("%s: want no column", got)
			}
			if tt.msg != "" && !strings.Contains(got, ": "+tt.msg) {
				t.Errorf("%s: want %s", got, tt.msg)
			}
		})
	}
}

// TestNames looks up what every system has in its /etc, so that it needs no name
// server. In a static binary it shows that lookups work without shared libraries.
func TestNames(t *testing.T) {
	for _, expr := range []string{"host localhost", "port http", `ip proto \tcp`} {
		if body, _, err := Compile(expr); err != nil || len(body) == 0 {
			t.Errorf("Compile(%q) = %d instructions, %v", expr, len(body), err)
		}
	}
}

func TestSyntaxErrorFields(t *testing.T) {
	_, _, err := Compile("tcp prot 80")
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("%v is a %T", err, err)
	}
	want := SyntaxError{Expr: "tcp prot 80", Offset: 4, Msg: `syntax error at "prot"`}
	if *syntax != want {
		t.Errorf("got %#v, want %#v", *syntax, want)
	}
}
