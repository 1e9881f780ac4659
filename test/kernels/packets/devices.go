// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
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
	if err := unix.Bind(socket, &unix.SockaddrLinklayer{Ifindex: device.Index, Protocol: all}); err != nil {
		return fmt.Errorf("tap %s: %w", *name, err)
	}
	if *count == 0 {
		waitForEnd()
		return nil
	}
	fmt.Println("ready")
	buffer := make([]byte, 65536)
	for range *count {
		if _, err := unix.Read(socket, buffer); err != nil {
			return err
		}
	}
	return nil
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
