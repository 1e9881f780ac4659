// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"slices"
	"testing"
)

// returnsPart has the returns of functions seen (fsession-multi, 7.2).
func returnsPart() part {
	return optionsPart("returns", []optionCase{
		{name: "returns", args: "--probe.backend=fsession-multi 'icmp or udp'", check: knowsHowLongCallsTook},
	}, "ping", "nft-drop", "udp-closed")
}

// measured are functions that a ping passes and that have returned before the packet's
// next hop outside of them, whatever else goes on: none of them gives it away.
func measured() []string {
	return []string{
		"validate_xmit_skb", "netif_skb_features", "__dev_forward_skb", "eth_type_trans", "ip_rcv_core", "ip_rcv_finish_core",
		"ip_route_input_noref", "__skb_checksum_complete",
	}
}

// knowsHowLongCallsTook: and still who dropped a packet. That the kernel learns from a
// return address, in whose place stands the tracer's where it has seen to it that a
// return is seen.
func knowsHowLongCallsTook(t *testing.T, _ string, all []*journey) {
	for _, s := range []scenario{nftDrop(), udpClosed()} {
		for _, c := range s.claims {
			t.Run(c.what, func(t *testing.T) { c.check(t, all) })
		}
	}
	request := claim{
		transport: "icmp", from: "10.1.1.1", to: "10.1.1.2", path: measured(), interfaces: []string{"east", "west"}, namespaces: 2,
		outcomes: []string{"consumed"}, wait: [2]string{backlog, received}, process: "ping", whole: true,
		also: func(t *testing.T, j *journey) {
			for _, h := range j.Hops {
				if slices.Contains(measured(), h.Function) && (!h.Exact || h.DurationNS <= 0) {
					t.Errorf("%s: %d ns, exact %v", h.Function, h.DurationNS, h.Exact)
				}
			}
		},
	}
	request.check(t, all)
	for _, j := range all {
		endsBeforeTheNext(t, j)
	}
}

// endsBeforeTheNext: what was measured is over when the packet is at a function outside
// of it, and no hop outlasts the one around it that was measured.
func endsBeforeTheNext(t *testing.T, j *journey) {
	t.Helper()
	var around []hop
	for i, h := range j.Hops {
		around = append(around[:min(h.Depth, len(around))], h)
		end := h.OffsetNS + h.DurationNS
		for _, outer := range around[:len(around)-1] {
			if outer.Exact && outer.OffsetNS+outer.DurationNS < end {
				t.Errorf("%s ends at %d ns, %s around it at %d: %s", h.Function, end, outer.Function, outer.OffsetNS+outer.DurationNS, j)
			}
		}
		for _, next := range j.Hops[i+1:] {
			if next.Depth <= h.Depth {
				if h.Exact && next.OffsetNS < end {
					t.Errorf("%s ends at %d ns, the packet is at %s at %d: %s", h.Function, end, next.Function, next.OffsetNS, j)
				}
				break
			}
		}
	}
}
