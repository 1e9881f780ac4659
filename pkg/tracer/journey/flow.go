// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

const (
	etherHeader = 14
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherIPv6   = 0x86dd
	etherVLAN   = 0x8100
	etherQinQ   = 0x88a8
)

// ParseFlow reads the flow from the first bytes of an Ethernet frame, as many
// as were captured: headers cut short leave the rest of the flow empty.
func ParseFlow(frame []byte) Flow {
	var f Flow
	if len(frame) < etherHeader {
		return f
	}
	kind := binary.BigEndian.Uint16(frame[12:])
	payload := frame[etherHeader:]
	for (kind == etherVLAN || kind == etherQinQ) && len(payload) >= 4 {
		if f.VLAN == 0 {
			f.VLAN = binary.BigEndian.Uint16(payload) & 0x0fff
		}
		kind = binary.BigEndian.Uint16(payload[2:])
		payload = payload[4:]
	}
	switch kind {
	case etherIPv4:
		f.parseIPv4(payload)
	case etherIPv6:
		f.parseIPv6(payload)
	case etherARP:
		f.parseARP(payload)
	case 0:
	default:
		f.NetworkType = fmt.Sprintf("0x%04x", kind)
	}
	return f
}

func (f *Flow) parseIPv4(b []byte) {
	f.NetworkType = "ipv4"
	if len(b) < 20 {
		return
	}
	f.Source.Address = netip.AddrFrom4([4]byte(b[12:16]))
	f.Destination.Address = netip.AddrFrom4([4]byte(b[16:20]))
	f.Transport = transportName(b[9])
	f.Fragment = binary.BigEndian.Uint16(b[6:])&0x1fff != 0
	header := int(b[0]&0x0f) * 4
	if !f.Fragment && header >= 20 && header <= len(b) {
		f.parsePorts(b[9], b[header:])
	}
}

func (f *Flow) parseIPv6(b []byte) {
	f.NetworkType = "ipv6"
	if len(b) < 40 {
		return
	}
	f.Source.Address = netip.AddrFrom16([16]byte(b[8:24]))
	f.Destination.Address = netip.AddrFrom16([16]byte(b[24:40]))
	next, rest := f.skipExtensions(b[6], b[40:])
	f.Transport = transportName(next)
	if !f.Fragment {
		f.parsePorts(next, rest)
	}
}

// skipExtensions walks the IPv6 extension headers (RFC 8200 §4) to the
// upper-layer header.
func (f *Flow) skipExtensions(next byte, b []byte) (byte, []byte) {
	const (
		hopByHop    = 0
		routing     = 43
		fragment    = 44
		authHeader  = 51
		destOptions = 60
	)
	for len(b) >= 8 {
		length := (int(b[1]) + 1) * 8
		switch next {
		case hopByHop, routing, destOptions:
		case fragment:
			length = 8
			f.Fragment = binary.BigEndian.Uint16(b[2:])&0xfff8 != 0
		case authHeader:
			length = (int(b[1]) + 2) * 4
		default:
			return next, b
		}
		if length > len(b) {
			return b[0], nil
		}
		stop := next == fragment && f.Fragment
		next, b = b[0], b[length:]
		if stop {
			break
		}
	}
	return next, b
}

func (f *Flow) parseARP(b []byte) {
	f.NetworkType = "arp"
	const ethernetIPv4 = 28
	if len(b) < ethernetIPv4 || b[4] != 6 || b[5] != 4 {
		return
	}
	f.Source.Address = netip.AddrFrom4([4]byte(b[14:18]))
	f.Destination.Address = netip.AddrFrom4([4]byte(b[24:28]))
}

func (f *Flow) parsePorts(protocol byte, b []byte) {
	if !hasPorts(protocol) || len(b) < 4 {
		return
	}
	f.Source.Port = binary.BigEndian.Uint16(b)
	f.Destination.Port = binary.BigEndian.Uint16(b[2:])
}

func hasPorts(protocol byte) bool {
	switch protocol {
	case 6, 17, 33, 132, 136: // TCP, UDP, DCCP, SCTP, UDP-Lite
		return true
	}
	return false
}

// transportName returns the lower-case name of an IP protocol number, or the
// number itself where there is no common name.
func transportName(protocol byte) string {
	if name := knownTransport(protocol); name != "" {
		return name
	}
	return fmt.Sprintf("ip-proto-%d", protocol)
}

// knownTransport names the common protocols of the IANA registry, "" otherwise.
func knownTransport(protocol byte) string {
	switch protocol {
	case 1:
		return "icmp"
	case 2:
		return "igmp"
	case 4:
		return "ipip"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 33:
		return "dccp"
	case 41:
		return "ipv6"
	case 47:
		return "gre"
	case 50:
		return "esp"
	case 51:
		return "ah"
	case 58:
		return "icmpv6"
	case 89:
		return "ospf"
	case 103:
		return "pim"
	case 112:
		return "vrrp"
	case 132:
		return "sctp"
	case 136:
		return "udplite"
	}
	return ""
}

// Protocol names a packet from its EtherType and IP protocol number for a
// metric label: the transport, else the network type, else "other".
func Protocol(etherType uint16, protocol byte) string {
	switch etherType {
	case etherIPv4, etherIPv6:
		if name := knownTransport(protocol); name != "" {
			return name
		}
	case etherARP:
		return "arp"
	}
	return "other"
}
