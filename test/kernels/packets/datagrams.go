// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sendDatagrams sends to a number of ports in turn. The payload for the next
// port is always one byte longer, so that a datagram's length tells its port; with
// -lengths, that for the same port the next time is longer by the number of ports, so
// that it tells datagrams to one port apart too.
func sendDatagrams(args []string) error {
	f := flags("udp")
	to := f.String("to", "", "address:port, the first if there are several")
	ports := f.Int("ports", 1, "how many, one after the other")
	count := f.Int("count", 1, "datagrams in all")
	size := f.Int("size", 100, "bytes of payload for the first port")
	lengths := f.Int("lengths", 1, "how many each port has, before they begin again")
	ttl := f.Int("ttl", 64, "or hop limit")
	whole := f.Bool("whole", false, "set DF, whatever is known of the path's MTU")
	mayFail := f.Bool("may-fail", false, "go on when the kernel says that a datagram was not sent")
	segment := f.Int("segment", 0, "one call sends a datagram for every so many bytes")
	narrow := f.Int("narrow", 0, "IPv6: an MTU that is set when the datagram has been cut already, by the device's")
	_ = f.Parse(args)
	address, err := netip.ParseAddrPort(*to)
	if err != nil {
		return err
	}
	socket, err := openDatagrams(address.Addr(), *ttl, *whole)
	if err != nil {
		return err
	}
	if *segment > 0 {
		if err := unix.SetsockoptInt(socket, unix.IPPROTO_UDP, unix.UDP_SEGMENT, *segment); err != nil {
			return fmt.Errorf("segment: %w", err)
		}
	}
	payload := make([]byte, *size+*ports**lengths)
	for i := range *count {
		next := i % *ports
		err := send(socket, payload[:*size+i%(*ports**lengths)], sockaddr(address, next), *narrow)
		if err != nil && !*mayFail {
			return fmt.Errorf("datagram %d: %w", i, err)
		}
	}
	return nil
}

// send sends at once or, with an MTU, first hands the payload over, then sets the
// MTU, and then has it sent.
func send(socket int, payload []byte, to unix.Sockaddr, mtu int) error {
	if mtu == 0 {
		return unix.Sendto(socket, payload, 0, to)
	}
	if err := unix.Sendto(socket, payload, unix.MSG_MORE, to); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(socket, unix.IPPROTO_IPV6, unix.IPV6_MTU, mtu); err != nil {
		return fmt.Errorf("MTU: %w", err)
	}
	return unix.SetsockoptInt(socket, unix.IPPROTO_UDP, unix.UDP_CORK, 0)
}

func openDatagrams(to netip.Addr, ttl int, whole bool) (int, error) {
	family, level, ttlOption := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL
	if to.Is6() {
		family, level, ttlOption = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	}
	socket, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(socket, level, ttlOption, ttl); err != nil {
		return 0, fmt.Errorf("ttl: %w", err)
	}
	if whole {
		discover, probe := unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
		if to.Is6() {
			discover, probe = unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
		}
		err = unix.SetsockoptInt(socket, level, discover, probe)
	}
	return socket, err
}

func sockaddr(to netip.AddrPort, next int) unix.Sockaddr {
	port := int(to.Port()) + next
	if to.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: port}
	}
	return &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: port}
}

// openSink waits with sockets at some ports, and reads them or does not.
func openSink(args []string) error {
	f := flags("sink")
	at := f.String("at", "", "address:port, the first if there are several")
	ports := f.Int("ports", 1, "")
	buffer := f.Int("buffer", 0, "receive buffer in bytes, as the kernel counts them")
	read := f.Bool("read", false, "read what comes")
	join := f.String("join", "", "the address is a group's, which is joined on this device")
	sockets := f.Int("sockets", 1, "how many for each port, if a group is joined")
	_ = f.Parse(args)
	address, err := netip.ParseAddrPort(*at)
	if err != nil {
		return err
	}
	for i := range *ports * *sockets {
		next := netip.AddrPortFrom(address.Addr(), address.Port()+uint16(i / *sockets))
		conn, err := listen(next, *join)
		if err != nil {
			return err
		}
		defer conn.Close()
		if *buffer > 0 {
			if err := conn.SetReadBuffer(*buffer / 2); err != nil { // the kernel doubles it
				return err
			}
		}
		if *read {
			go discard(conn)
		}
	}
	waitForEnd()
	return nil
}

func listen(at netip.AddrPort, join string) (*net.UDPConn, error) {
	address := net.UDPAddrFromAddrPort(at)
	if join == "" {
		return net.ListenUDP("udp", address)
	}
	device, err := net.InterfaceByName(join)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", join, err)
	}
	return net.ListenMulticastUDP("udp", device, address)
}

func discard(conn *net.UDPConn) {
	buffer := make([]byte, 65536)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}
