// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	xdp "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// openTunnel makes a tun device and leaves in it what is sent there.
func openTunnel(args []string) error {
	f := flags("tun")
	name := f.String("name", "tun0", "of the device")
	_ = f.Parse(args)
	file, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	request, err := unix.NewIfreq(*name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(int(file.Fd()), unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("make %s: %w", *name, err)
	}
	waitForEnd()
	return nil
}

// tapDevice reads so many packets of a device as pass it in either direction,
// then ends. Of none it leaves all where they wait for it.
func tapDevice(args []string) error {
	f := flags("tap")
	name := f.String("device", "", "")
	count := f.Int("count", 1, "packets to read")
	ringed := f.Bool("ring", false, "read them from a ring, where the kernel copies them")
	refuse := f.Bool("refuse", false, "have none at all, by a filter, and wait for SIGTERM")
	_ = f.Parse(args)
	device, err := net.InterfaceByName(*name)
	if err != nil {
		return fmt.Errorf("device %s: %w", *name, err)
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	read, err := tapReader(socket, *ringed)
	if err != nil {
		return fmt.Errorf("ring: %w", err)
	}
	if *refuse {
		if err := refuseAll(socket); err != nil {
			return fmt.Errorf("filter: %w", err)
		}
	}
	if err := unix.Bind(socket, &unix.SockaddrLinklayer{Ifindex: device.Index, Protocol: all}); err != nil {
		return fmt.Errorf("tap %s: %w", *name, err)
	}
	if *refuse || *count == 0 {
		waitForEnd()
		return nil
	}
	fmt.Println("ready")
	for i := range *count {
		if err := read(i); err != nil {
			return err
		}
	}
	return nil
}

// tapReader returns what reads the next packet, of which it is told the number.
func tapReader(socket int, ringed bool) (func(int) error, error) {
	if !ringed {
		buffer := make([]byte, 65536)
		return func(int) error {
			_, err := unix.Read(socket, buffer)
			return err
		}, nil
	}
	ring, err := openRing(socket, unix.PACKET_RX_RING)
	return func(number int) error { return takeFrame(socket, ring, number) }, err
}

// refuseAll gives a socket a filter that no packet passes.
func refuseAll(socket int) error {
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	program := unix.SockFprog{Len: 1, Filter: &nothing[0]}
	return unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
}

const (
	ringFrames    = 8
	ringFrameSize = 2048
)

// openRing gives a packet socket a ring (PACKET_MMAP) for one direction, and returns it.
func openRing(socket, direction int) ([]byte, error) {
	if err := unix.SetsockoptInt(socket, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, err
	}
	const size = ringFrames * ringFrameSize
	request := unix.TpacketReq{Block_size: size, Block_nr: 1, Frame_size: ringFrameSize, Frame_nr: ringFrames}
	if err := unix.SetsockoptTpacketReq(socket, unix.SOL_PACKET, direction, &request); err != nil {
		return nil, err
	}
	return unix.Mmap(socket, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// takeFrame waits until the kernel has filled a frame of the ring, and gives it back.
func takeFrame(socket int, ring []byte, number int) error {
	status := ring[number%ringFrames*ringFrameSize:][:4]
	for binary.NativeEndian.Uint32(status)&unix.TP_STATUS_USER == 0 {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN}}, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	binary.NativeEndian.PutUint32(status, unix.TP_STATUS_KERNEL)
	return nil
}

// putFrame fills a frame of a ring for the kernel to send.
func putFrame(ring []byte, number int, content []byte) {
	const header = 32 // struct tpacket2_hdr: status, length, and what only the kernel says
	frame := ring[number%ringFrames*ringFrameSize:]
	copy(frame[header:], content)
	binary.NativeEndian.PutUint32(frame[4:], uint32(len(content)))
	binary.NativeEndian.PutUint32(frame, unix.TP_STATUS_SEND_REQUEST)
}

// attachXDP drops every IPv4 packet that comes in at a device.
func attachXDP(args []string) error {
	f := flags("xdp")
	name := f.String("device", "", "")
	native := f.Bool("native", false, "in the driver, not after it")
	_ = f.Parse(args)
	device, err := net.InterfaceByName(*name)
	if err != nil {
		return fmt.Errorf("device %s: %w", *name, err)
	}
	program, err := ebpf.NewProgram(dropIPv4())
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	defer program.Close()
	mode := xdp.XDPGenericMode
	if *native {
		mode = xdp.XDPDriverMode
	}
	l, err := xdp.AttachXDP(xdp.XDPOptions{Program: program, Interface: device.Index, Flags: mode})
	if err != nil {
		return fmt.Errorf("attach to %s: %w", *name, err)
	}
	defer l.Close()
	waitForEnd()
	return nil
}

func dropIPv4() *ebpf.ProgramSpec {
	const drop, pass = 1, 2
	return &ebpf.ProgramSpec{
		Name: "drop_ipv4", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, pass),
			asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
			asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
			asm.Mov.Reg(asm.R4, asm.R2),
			asm.Add.Imm(asm.R4, 14),
			asm.JGT.Reg(asm.R4, asm.R3, "end"),
			asm.LoadMem(asm.R5, asm.R2, 12, asm.Half),
			asm.JNE.Imm(asm.R5, 0x0008, "end"), // IPv4, as it lies in memory
			asm.Mov.Imm(asm.R0, drop),
			asm.Return().WithSymbol("end"),
		},
	}
}
