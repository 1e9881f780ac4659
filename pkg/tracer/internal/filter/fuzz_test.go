// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
)

// choices makes expressions out of fuzzed bytes. Fuzzing the text itself would
// hardly ever parse, and would ask a name server for what it invents.
type choices []byte

// next consumes one choice, below n.
func (c *choices) next(n int) int {
	if len(*c) == 0 {
		return 0
	}
	first := (*c)[0]
	*c = (*c)[1:]
	return int(first) % n
}

func (c *choices) oneOf(options ...string) string { return options[c.next(len(options))] }

func (c *choices) expression(depth int) string {
	if depth == 0 || len(*c) == 0 {
		return c.primitive()
	}
	switch c.next(5) {
	case 0:
		return c.expression(depth-1) + " and " + c.expression(depth-1)
	case 1:
		return c.expression(depth-1) + " or " + c.expression(depth-1)
	case 2:
		return "not (" + c.expression(depth-1) + ")"
	case 3:
		return "(" + c.expression(depth-1) + ")"
	default:
		return c.primitive()
	}
}

func (c *choices) primitive() string {
	switch c.next(8) {
	case 0:
		return c.oneOf("ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "stp", "llc",
			"ip multicast", "ip6 multicast", "ether multicast", "ether broadcast")
	case 1:
		return c.oneOf("", "src ", "dst ", "src or dst ", "src and dst ") +
			c.oneOf("host 10.0.0.1", "host 10.0.0.2", "net 10/8", "net 192.168.1", "host fe80::1", "net 2001:db8::/32")
	case 2:
		return c.oneOf("", "tcp ", "udp ", "sctp ") + c.oneOf("", "src ", "dst ") +
			c.oneOf("port 80", "port 53", "portrange 40-500", "port 443 or 80")
	case 3:
		return c.oneOf("vlan", "vlan 5", "vlan 7", "mpls", "mpls 1024", "pppoes", "pppoes 9", "pppoed", "geneve", "geneve 9")
	case 4:
		return fmt.Sprintf("%s %d", c.oneOf("less", "greater"), 8*c.next(256))
	case 5:
		return fmt.Sprintf("%s %d", c.oneOf("proto", "ip proto", "ip6 proto", "ether proto"), c.next(256))
	case 6:
		return "ether " + c.oneOf("host", "src", "dst") + " " + c.oneOf("02:00:00:00:00:01", "02:00:00:00:00:02")
	default:
		return c.arithmetic(2) + c.oneOf(" = ", " != ", " > ", " < ", " >= ", " <= ") + c.arithmetic(2)
	}
}

// arithmetic has no minus within an index: the reference does not wrap around
// there, while libpcap and the kernel do (see TestVerdicts).
func (c *choices) arithmetic(depth int) string {
	header := c.oneOf("ether", "ip", "ip6", "tcp", "udp", "icmp", "icmp6", "arp")
	size := c.oneOf("", ":1", ":2", ":4")
	switch kind := c.next(8); {
	case kind == 0:
		return "len"
	case kind == 1:
		return fmt.Sprint(c.next(256))
	case kind == 2 && depth > 0:
		return fmt.Sprintf("%s[%s & 0x1f%s]", header, c.arithmetic(0), size)
	case kind == 3 && depth > 0:
		return "-(" + c.arithmetic(depth-1) + ")"
	case kind < 6 && depth > 0:
		operator := c.oneOf("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")
		return "(" + c.arithmetic(depth-1) + " " + operator + " " + c.arithmetic(depth-1) + ")"
	default:
		return fmt.Sprintf("%s[%d%s]", header, c.next(48), size)
	}
}

// FuzzFilter compares our eBPF with the reference on fuzzed expressions and frames.
func FuzzFilter(f *testing.F) {
	for i, p := range packets() {
		f.Add([]byte{byte(i), 7, 3, byte(2 * i), 5, 1, byte(i / 2), 9, 8, 4, 2, 6}, p.frame, uint16(p.wire))
		f.Add([]byte{4, 7, byte(i), 0, 4, 9, byte(3 * i), 1, 2, byte(i / 3), 5, 7, 6}, p.frame, uint16(p.wire))
	}
	corpus := packets()
	f.Fuzz(func(t *testing.T, bytes, frame []byte, wire uint16) {
		c := choices(bytes)
		expr := c.expression(4)
		program, err := classic(expr)
		if err != nil {
			checkError(t, expr, err)
			return
		}
		body, err := translate(program)
		if err != nil {
			if explainTranslation(expr, err).Offset < 0 {
				t.Fatalf("%q: %v", expr, err)
			}
			return
		}
		// A frame of the corpus gets further into an expression than a fuzzed one.
		checkBody(t, expr, program, body, packet{frame[:min(len(frame), frameLimit)], uint32(wire)})
		for _, p := range corpus {
			checkBody(t, expr, program, body, p)
		}
	})
}

// checkBody compares what body and the classic program make of p.
func checkBody(t *testing.T, expr string, program []bpf.Instruction, body asm.Instructions, p packet) {
	t.Helper()
	got, err := execute(body, p)
	if err != nil {
		t.Fatalf("%q: %v on % x\n%v", expr, err, p.frame, body)
	}
	if want := reference(t, program, p); got != uint32(want) {
		t.Fatalf("%q returns %d, reference %d, on % x (%d on the wire)\n%v", expr, got, want, p.frame, p.wire, body)
	}
}

// TestMachineAgreesWithReference runs the golden expressions without the kernel.
func TestMachineAgreesWithReference(t *testing.T) {
	corpus := packets()
	corpus = append(corpus, mutations(rand.New(rand.NewPCG(3, 4)), corpus, 400)...)
	for _, expr := range expressions() {
		program, body := compile(t, expr)
		for _, p := range corpus {
			checkBody(t, expr, program, body, p)
		}
	}
}

// FuzzSyntaxError puts words together at random: whatever is wrong with the
// result, the error must be a SyntaxError whose offset is a place in it. No word
// or pair of words is a host name that would be asked of a name server.
func FuzzSyntaxError(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3})
	f.Add([]byte{3, 17, 4, 9, 8, 4, 10, 11})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		c := choices(bytes)
		expr := ""
		for range min(len(c), 24) {
			expr += c.oneOf("tcp", "udp", "ip", "ip6", "host", "net", "port", "portrange", "and", "or", "not", "(", ")", "[", "]",
				":", "/", "8", "80", "10.0.0.1", "::1", "02:00:00:00:00:01", "mask", "proto", "vlan", "less", "len", "=", ">=",
				"&", "&&", "!", "x..y", "$", "\\", "ether", "\"", "é", "99999999999", "inbound", "ifindex", "protochain",
				"-", ".", "_", "src", "dst", "gateway", "broadcast", "\x00", "\xff", "\n") + " "
		}
		if _, _, err := Compile(expr); err != nil {
			checkError(t, expr, err)
		}
	})
}

// checkError checks what holds for every error of Compile.
func checkError(t *testing.T, expr string, err error) {
	t.Helper()
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("%q: %v is a %T", expr, err, err)
	}
	if syntax.Expr != expr || syntax.Offset < -1 || syntax.Offset > len(expr) || syntax.Msg == "" {
		t.Fatalf("%q: %#v", expr, syntax)
	}
	for _, r := range err.Error() {
		if r == '\n' {
			t.Fatalf("%q: more than one line: %v", expr, err)
		}
	}
}
