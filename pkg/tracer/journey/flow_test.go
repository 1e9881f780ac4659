// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

const ether = "02 00 00 00 00 02  02 00 00 00 00 01 "

func frame(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func end(address string, port uint16) Endpoint {
	return Endpoint{netip.MustParseAddr(address), port}
}

func TestParseFlow(t *testing.T) {
	const (
		addresses4 = " 0a000001 0a000002 "
		addresses6 = " 20010db8000000000000000000000001 20010db8000000000000000000000002 "
		ports      = " 1234 01bb "
	)
	tests := map[string]struct {
		frame string
		want  Flow
	}{
		"tcp over ipv4": {
			ether + "0800 4500 0028 0001 4000 4006 0000" + addresses4 + ports,
			Flow{NetworkType: "ipv4", Transport: "tcp", Source: end("10.0.0.1", 0x1234), Destination: end("10.0.0.2", 443)},
		},
		"ipv4 options before the ports": {
			ether + "0800 4600 002c 0001 4000 4011 0000" + addresses4 + "94040000" + ports,
			Flow{NetworkType: "ipv4", Transport: "udp", Source: end("10.0.0.1", 0x1234), Destination: end("10.0.0.2", 443)},
		},
		"icmp has no ports": {
			ether + "0800 4500 0054 0001 4000 4001 0000" + addresses4 + "0800 abcd",
			Flow{NetworkType: "ipv4", Transport: "icmp", Source: end("10.0.0.1", 0), Destination: end("10.0.0.2", 0)},
		},
		"later fragment has no ports": {
			ether + "0800 4500 0054 0001 00b9 4011 0000" + addresses4 + ports,
			Flow{NetworkType: "ipv4", Transport: "udp", Source: end("10.0.0.1", 0), Destination: end("10.0.0.2", 0), Fragment: true},
		},
		"first fragment has ports": {
			ether + "0800 4500 0054 0001 2000 4011 0000" + addresses4 + ports,
			Flow{NetworkType: "ipv4", Transport: "udp", Source: end("10.0.0.1", 0x1234), Destination: end("10.0.0.2", 443)},
		},
		"ipv6 behind hop-by-hop and destination options": {
			ether + "86dd 6000 0000 0018 0040" + addresses6 + "3c00 0000 0000 0000  0600 0000 0000 0000" + ports,
			Flow{NetworkType: "ipv6", Transport: "tcp", Source: end("2001:db8::1", 0x1234), Destination: end("2001:db8::2", 443)},
		},
		"later ipv6 fragment": {
			ether + "86dd 6000 0000 0010 2c40" + addresses6 + "1100 0008 0000 0001" + ports,
			Flow{NetworkType: "ipv6", Transport: "udp", Source: end("2001:db8::1", 0), Destination: end("2001:db8::2", 0), Fragment: true},
		},
		"vlan": {
			ether + "8100 2005 0800 4500 0028 0001 4000 4006 0000" + addresses4 + ports,
			Flow{NetworkType: "ipv4", Transport: "tcp", Source: end("10.0.0.1", 0x1234), Destination: end("10.0.0.2", 443), VLAN: 5},
		},
		"two tags, the outer counts": {
			ether + "88a8 0007 8100 0005 0800 4500 0028 0001 4000 4006 0000" + addresses4 + ports,
			Flow{NetworkType: "ipv4", Transport: "tcp", Source: end("10.0.0.1", 0x1234), Destination: end("10.0.0.2", 443), VLAN: 7},
		},
		"arp": {
			ether + "0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002",
			Flow{NetworkType: "arp", Source: end("10.0.0.1", 0), Destination: end("10.0.0.2", 0)},
		},
		"other EtherType": {ether + "88cc 0000", Flow{NetworkType: "0x88cc"}},
		"other protocol": {
			ether + "0800 4500 0028 0001 4000 40fd 0000" + addresses4,
			Flow{NetworkType: "ipv4", Transport: "ip-proto-253", Source: end("10.0.0.1", 0), Destination: end("10.0.0.2", 0)},
		},
		"cut in the ip header":    {ether + "0800 4500 0028", Flow{NetworkType: "ipv4"}},
		"cut in the ether header": {"02 00", Flow{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ParseFlow(frame(t, test.frame)); got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestProtocol(t *testing.T) {
	tests := map[string]struct {
		ether    uint16
		protocol byte
	}{"tcp": {0x0800, 6}, "icmpv6": {0x86dd, 58}, "arp": {0x0806, 0}, "other": {0x0800, 253}}
	for want, test := range tests {
		if got := Protocol(test.ether, test.protocol); got != want {
			t.Errorf("Protocol(%#x, %d) = %q, want %q", test.ether, test.protocol, got, want)
		}
	}
}

func FuzzParseFlow(f *testing.F) {
	f.Add(frame(f, ether+"0800 4500 0028 0001 4000 4006 0000 0a000001 0a000002 1234 01bb"))
	f.Add(frame(f, ether+"86dd 6000 0000 0018 0040 20010db8000000000000000000000001 20010db8000000000000000000000002 3c00"))
	f.Add(frame(f, ether+"8100 2005 0806"))
	f.Fuzz(func(t *testing.T, b []byte) {
		flow := ParseFlow(b)
		if flow.Fragment && (flow.Source.Port != 0 || flow.Destination.Port != 0) {
			t.Errorf("a later fragment has ports: %+v", flow)
		}
	})
}
