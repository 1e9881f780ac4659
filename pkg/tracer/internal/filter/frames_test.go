// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// A packet is a frame as the kernel half lays it out, and how long the packet was.
type packet struct {
	frame []byte // what was captured
	wire  uint32
}

func whole(frame []byte) packet { return packet{frame, uint32(len(frame))} }

func ether(etherType uint16, payload ...[]byte) []byte {
	header := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	return slices.Concat(binary.BigEndian.AppendUint16(header, etherType), bytes.Join(payload, nil))
}

// tag is an 802.1Q tag, without the EtherType in front of it.
func tag(id, etherType uint16) []byte { return u16s(id, etherType) }

func u16s(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

type ip4 struct {
	src, dst string
	proto    byte
	options  int    // in 32-bit words
	fragment uint16 // flags and offset
}

func (p ip4) with(payload []byte) []byte {
	words := 5 + p.options
	h := make([]byte, words*4)
	h[0] = 0x40 | byte(words)
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(payload)))
	binary.BigEndian.PutUint16(h[6:], p.fragment)
	h[8], h[9] = 64, p.proto
	copy(h[12:], netip.MustParseAddr(p.src).AsSlice())
	copy(h[16:], netip.MustParseAddr(p.dst).AsSlice())
	return append(h, payload...)
}

func ip6(next byte, src, dst string, payload []byte) []byte {
	h := make([]byte, 40)
	h[0] = 0x60
	binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
	h[6], h[7] = next, 64
	copy(h[8:], netip.MustParseAddr(src).AsSlice())
	copy(h[24:], netip.MustParseAddr(dst).AsSlice())
	return append(h, payload...)
}

func tcp(src, dst uint16, flags byte, payload string) []byte {
	h := slices.Concat(u16s(src, dst), make([]byte, 16))
	h[12], h[13] = 5<<4, flags
	return append(h, payload...)
}

func udp(src, dst uint16, payload []byte) []byte {
	return append(u16s(src, dst, uint16(8+len(payload)), 0), payload...)
}

func arp(op uint16, sender, target string) []byte {
	return slices.Concat(u16s(1, 0x0800, 0x0604, op),
		make([]byte, 6), netip.MustParseAddr(sender).AsSlice(),
		make([]byte, 6), netip.MustParseAddr(target).AsSlice())
}

// packets is the corpus: something for each expression to match and to miss.
func packets() []packet {
	const syn, ack, fin = 0x02, 0x10, 0x01
	v4 := ip4{src: "10.0.0.1", dst: "10.0.0.2", proto: 6}
	v4opt := ip4{src: "192.168.1.7", dst: "10.1.2.3", proto: 6, options: 3}
	v4udp := ip4{src: "10.0.0.2", dst: "224.0.0.251", proto: 17}
	v4frag := ip4{src: "10.0.0.1", dst: "10.0.0.2", proto: 17, fragment: 0x2003}
	v4icmp := ip4{src: "10.0.0.1", dst: "10.0.0.255", proto: 1}
	sctp := ip4{src: "10.0.0.3", dst: "10.0.0.2", proto: 132}
	web := tcp(40000, 80, syn, "")
	answer := tcp(443, 40000, ack|fin, "GET / HTTP/1.1")
	dns := udp(53, 5353, bytes.Repeat([]byte{0xab}, 100))
	inner := ether(0x0800, v4.with(web))

	broadcast := ether(0x0806, arp(1, "10.0.0.1", "10.0.0.2"))
	copy(broadcast, bytes.Repeat([]byte{0xff}, 6))

	frames := [][]byte{
		ether(0x0800, v4.with(web)),
		ether(0x0800, v4.with(answer)),
		ether(0x0800, v4opt.with(web)),
		ether(0x0800, v4udp.with(dns)),
		ether(0x0800, v4frag.with(dns)),
		ether(0x0800, v4icmp.with([]byte{8, 0, 1, 2, 3, 4, 5, 6})),
		ether(0x0800, v4icmp.with([]byte{3, 1, 1, 2, 3, 4, 5, 6})),
		ether(0x0800, sctp.with(u16s(80, 2905, 1, 2, 3, 4))),
		ether(0x86dd, ip6(6, "fe80::1", "2001:db8::2", web)),
		ether(0x86dd, ip6(17, "2001:db8::2", "ff02::1", dns)),
		ether(0x86dd, ip6(58, "fe80::1", "ff02::1", []byte{135, 0, 0, 0})),
		ether(0x86dd, ip6(44, "fe80::1", "fe80::2", slices.Concat([]byte{6, 0, 0, 1, 0, 0, 0, 9}, web))),
		ether(0x0806, arp(1, "10.0.0.1", "10.0.0.2")),
		ether(0x8035, arp(3, "10.0.0.1", "10.0.0.2")),
		ether(0x8100, tag(5, 0x0800), v4.with(web)),
		ether(0x8100, tag(0xa005, 0x86dd), ip6(6, "fe80::1", "2001:db8::2", answer)),
		ether(0x88a8, tag(7, 0x8100), tag(5, 0x0800), v4udp.with(dns)),
		ether(0x8847, []byte{0, 0x40, 0x01, 64}, v4.with(web)),
		ether(0x8864, u16s(0x1100, 9, 62, 0x0021), v4.with(web)),
		ether(0x0800, v4udp.with(udp(6081, 6081, slices.Concat([]byte{0, 0, 0x65, 0x58, 0, 0, 9, 0}, inner)))),
		ether(0x0026, []byte{0x42, 0x42, 3}, make([]byte, 35)), // 802.3, spanning tree
		ether(0x0800, v4.with(tcp(1, 2, ack, string(bytes.Repeat([]byte("x"), 216))))),
		ether(0x0800, ip4{src: "10.0.0.1", dst: "10.0.0.2", proto: 1}.with([]byte{8, 0, 1, 2, 3, 4, 5, 6})),
		ether(0x0800, ip4{src: "10.0.0.1", dst: "10.0.0.2", proto: 50}.with(make([]byte, 30))),
		ether(0x0800, v4.with(tcp(40000, 80, ack, "GET / HTTP/1.1"))),
		broadcast,
		ether(0x88cc),
		{},
	}

	var all []packet
	for _, frame := range frames {
		all = append(all, whole(frame), packet{frame, uint32(len(frame)) + 1400})
	}
	// GSO packets are longer than a u16, and cuts fall anywhere.
	all = append(all, packet{frames[0], 65_550}, packet{frames[0][:13], 60}, packet{frames[0][:33], 60},
		packet{frames[2][:40], 66}, packet{frames[10][:54], 58})
	return all
}

// mutations derives n packets from corpus by changing bytes and cutting ends.
func mutations(rng *rand.Rand, corpus []packet, n int) []packet {
	mutated := make([]packet, n)
	for i := range mutated {
		p := corpus[rng.IntN(len(corpus))]
		frame := slices.Clone(p.frame)
		for range rng.IntN(4) {
			if len(frame) > 0 {
				frame[rng.IntN(len(frame))] = byte(rng.Uint32())
			}
		}
		if rng.IntN(3) == 0 {
			frame = frame[:rng.IntN(len(frame)+1)]
		}
		mutated[i] = packet{frame, p.wire + uint32(rng.IntN(3))}
	}
	return mutated
}
