// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	ipv4Header = 20
	ipv6Header = 40
)

// packet is an IP packet as it is to be.
type packet struct {
	protocol byte
	from, to netip.AddrPort
	body     []byte // transport header and payload, its checksum at sum
	sum      int    // 0: it has none
}

// sendFrames puts frames on a device as they are, past the IP layer.
func sendFrames(args []string) error {
	f := flags("frame")
	device := f.String("device", "", "to send on")
	mac := f.String("to-mac", "", "Ethernet address of the receiver")
	from := f.String("from", "", "address:port")
	to := f.String("to", "", "address:port")
	kind := f.String("kind", "udp", "udp, tcp (a SYN), icmp (an echo request), option (of IPv6, unknown), unknown (protocol)")
	bad := f.String("bad", "", "ip or transport: a wrong checksum there")
	count := f.Int("count", 1, "")
	ringed := f.Bool("ring", false, "from a ring, which the kernel copies them from")
	_ = f.Parse(args)
	p, err := newPacket(*kind, *from, *to)
	if err != nil {
		return err
	}
	out, err := openDevice(*device, *mac)
	if err != nil {
		return err
	}
	if *ringed {
		if out.ring, err = openRing(out.socket, unix.PACKET_TX_RING); err != nil {
			return fmt.Errorf("ring: %w", err)
		}
	}
	bytes := p.bytes()
	switch *bad {
	case "ip":
		bytes[10] ^= 0xff
	case "transport":
		bytes[len(bytes)-len(p.body)+p.sum] ^= 0xff
	}
	for range *count {
		if err := out.send(bytes); err != nil {
			return err
		}
	}
	return nil
}

func newPacket(kind, from, to string) (*packet, error) {
	var p packet
	var err error
	if p.from, err = netip.ParseAddrPort(from); err != nil {
		return nil, err
	}
	if p.to, err = netip.ParseAddrPort(to); err != nil {
		return nil, err
	}
	switch kind {
	case "udp":
		p.protocol, p.body, p.sum = unix.IPPROTO_UDP, make([]byte, 40), 6
		binary.BigEndian.PutUint16(p.body[4:], uint16(len(p.body)))
	case "tcp":
		p.protocol, p.body, p.sum = unix.IPPROTO_TCP, tcpSegment(1, 0, tcpSYN), 16
	case "icmp":
		p.protocol, p.body, p.sum = unix.IPPROTO_ICMP, make([]byte, 64), 2
		p.body[0] = 8 // echo request
		if p.to.Addr().Is6() {
			p.protocol, p.body[0] = unix.IPPROTO_ICMPV6, 128
		}
		return &p, nil
	case "option":
		const discard = 1 << 6 // what to do with a packet whose option is unknown
		p.protocol, p.body = unix.IPPROTO_DSTOPTS, []byte{unix.IPPROTO_NONE, 0, discard | 0x3e, 4, 0, 0, 0, 0}
		return &p, nil
	case "unknown":
		p.protocol, p.body = 253, make([]byte, 16) // RFC 3692: for experiments
		return &p, nil
	default:
		return nil, fmt.Errorf("no such kind of packet: %s", kind)
	}
	p.setPorts()
	return &p, nil
}

func (p *packet) setPorts() {
	binary.BigEndian.PutUint16(p.body[0:], p.from.Port())
	binary.BigEndian.PutUint16(p.body[2:], p.to.Port())
}

const (
	tcpSYN = 0x02
	tcpACK = 0x10

	tcpPayload = 10 // of each segment that is no SYN
)

func tcpSegment(sequence, acknowledged uint32, flags byte) []byte {
	const header = 20
	size := header
	if flags&tcpSYN == 0 {
		size += tcpPayload
	}
	segment := make([]byte, size)
	binary.BigEndian.PutUint32(segment[4:], sequence)
	binary.BigEndian.PutUint32(segment[8:], acknowledged)
	segment[12] = header / 4 << 4
	segment[13] = flags
	binary.BigEndian.PutUint16(segment[14:], 1024) // window
	return segment
}

// bytes is the packet with right checksums.
func (p *packet) bytes() []byte {
	b, pseudo := p.header()
	header := len(b)
	b = append(b, p.body...)
	if p.sum > 0 {
		binary.BigEndian.PutUint16(b[header+p.sum:], checksum(append(pseudo, p.body...)))
	}
	return b
}

// header is the IP header, and what a transport checksum covers of it.
func (p *packet) header() (b, pseudo []byte) {
	from, to := p.from.Addr().AsSlice(), p.to.Addr().AsSlice()
	length := len(p.body)
	if p.from.Addr().Is6() {
		b = append(append([]byte{0x60, 0, 0, 0, 0, byte(length), p.protocol, 64}, from...), to...)
		return b, append(append(append([]byte(nil), from...), to...), 0, 0, 0, byte(length), 0, 0, 0, p.protocol)
	}
	b = append(append([]byte{0x45, 0, 0, byte(ipv4Header + length), 0, 0, 0, 0, 64, p.protocol, 0, 0}, from...), to...)
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	if p.protocol != unix.IPPROTO_ICMP {
		pseudo = append(append(append([]byte(nil), from...), to...), 0, p.protocol, 0, byte(length))
	}
	return b, pseudo
}

// checksum is that of RFC 1071; the length is even.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// link sends on a device, to one neighbour.
type link struct {
	socket  int
	ifindex int
	header  []byte // Ethernet addresses
	ring    []byte // to send from, if any
	sent    int
}

func openDevice(name, mac string) (*link, error) {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	to, err := net.ParseMAC(mac)
	if err != nil {
		return nil, err
	}
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0) // 0: receives nothing
	if err != nil {
		return nil, err
	}
	return &link{socket: socket, ifindex: device.Index, header: append(append([]byte(nil), to...), device.HardwareAddr...)}, nil
}

func (l *link) send(packet []byte) error {
	etherType := uint16(unix.ETH_P_IP)
	if packet[0]>>4 == 6 {
		etherType = unix.ETH_P_IPV6
	}
	frame := append(binary.BigEndian.AppendUint16(append([]byte(nil), l.header...), etherType), packet...)
	address := unix.SockaddrLinklayer{Ifindex: l.ifindex, Protocol: etherType>>8 | etherType<<8}
	if l.ring != nil {
		putFrame(l.ring, l.sent, frame)
		frame = nil
	}
	l.sent++
	return unix.Sendto(l.socket, frame, 0, &address)
}
