// SPDX-License-Identifier: Apache-2.0

// Package filter turns a pcap expression, as tcpdump takes it, into eBPF.
//
// libpcap compiles and optimises the expression to classic BPF, cbpfc translates
// that to eBPF, and this package mends what differs between a capture and us.
//
// # The frame
//
// One Ethernet program serves every place in the kernel, whatever headers an skb
// has there, because the kernel half lays out one frame for it:
//
//	destination MAC (6) | source MAC (6) | 802.1Q tag (4) | EtherType (2) | bytes from the network header (at most 256)
//
// The MACs are zero where the skb has no MAC header. The tag is there only if the
// skb carries one that hardware stripped, so "vlan 5" works on either kind.
//
// As in a capture with a short snap length, a filter that reads beyond the last
// captured byte does not match, even under "not". A filter whose fixed offset
// lies beyond the longest possible frame could never match and is refused. The
// length tests (len, greater, less) see the packet's true length.
//
// # What works
//
// Everything libpcap compiles for DLT_EN10MB, but for what needs facts that are
// not in the frame (inbound, outbound, ifindex), loops (protochain), a netmask (ip
// broadcast), or a tunnel header on a path without one (geneve or ip). Each is refused with a [SyntaxError] that names the way out.
//
// Names are looked up when the expression is compiled: ports in /etc/services,
// protocols in /etc/protocols, networks in /etc/networks, hosts in /etc/hosts and
// then DNS, for whose answer Compile waits. A static binary does this without shared libraries, glibc (2.34 and
// later) having the "files" and "dns" sources built in. Any other source named in
// nsswitch.conf (resolve, mymachines, myhostname, sss, ...) needs the shared
// libraries of the very glibc the binary was linked with, and is skipped without.
//
// # Building
//
// libpcap's static archive is always used; see nocapture.c for how its many
// dependencies are kept out. It needs libpcap 1.10 or later (libpcap-dev) and cgo.
package filter

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
)

const (
	etherHeader = 14
	// captureLimit is how many bytes of a packet, from its network header on, a
	// filter can look at.
	captureLimit = 256
	// frameLimit is the size of the longest frame: Ethernet header, 802.1Q tag
	// and captured payload.
	frameLimit = etherHeader + 4 + captureLimit
)

// Compile translates the pcap expression expr to the body of a static eBPF
// subprogram. An empty expression gives nil: there is nothing to filter.
//
// At entry R1 points to the first byte of the frame, R2 past its last captured
// byte, and the u32 at R1-4 is the packet's length on the wire in host byte order.
// All of it lies in the value of one BPF array map, with at least 64 KiB after R1.
// The body ends with exit and returns in R0 non-zero for a match, 0 for none. It
// uses R0-R5 and up to 64 bytes of stack.
//
// The second result is how many bytes from the network header on have to be
// captured for the filter to see all that it may look at.
//
// An expression that cannot be compiled gives a [*SyntaxError].
func Compile(expr string) (asm.Instructions, int, error) {
	if strings.TrimSpace(expr) == "" {
		return nil, 1, nil
	}
	program, err := classic(expr)
	if err != nil {
		return nil, 0, err
	}
	body, err := translate(program)
	if err != nil {
		return nil, 0, explainTranslation(expr, err)
	}
	return body, reach(program), nil
}

// reach is how far from the network header on a program can look.
func reach(program []bpf.Instruction) int {
	const longestIPv4 = 60
	end := etherHeader + 1
	for _, insn := range program {
		switch i := insn.(type) {
		case bpf.LoadAbsolute:
			end = max(end, int(i.Off)+i.Size)
		case bpf.LoadMemShift:
			end = max(end, int(i.Off)+1)
		case bpf.LoadIndirect: // X is the length of an IPv4 header, or else see below
			end = max(end, longestIPv4+int(i.Off)+i.Size)
		case bpf.TAX, bpf.LoadConstant, bpf.LoadScratch: // X may become anything
			return captureLimit
		}
	}
	return min(end-etherHeader, captureLimit)
}

// classic compiles expr to classic BPF that we know how to run.
func classic(expr string) ([]bpf.Instruction, error) {
	if nul := strings.IndexByte(expr, 0); nul >= 0 {
		return nil, &SyntaxError{Expr: expr, Offset: nul, Msg: "NUL byte"}
	}
	raw, err := pcapCompile(expr)
	if err != nil {
		return nil, explain(expr, err.Error())
	}
	program, _ := bpf.Disassemble(raw)
	for _, insn := range program {
		if err := check(expr, insn); err != nil {
			return nil, err
		}
	}
	return program, nil
}

// check refuses an instruction that cannot work on our frame, in the words of the
// expression it came from.
func check(expr string, insn bpf.Instruction) error {
	switch i := insn.(type) {
	case bpf.LoadExtension:
		if i.Num != bpf.ExtLen {
			return noMetadata(expr, i.Num)
		}
	case bpf.LoadAbsolute:
		return checkOffset(expr, i.Off, i.Size)
	case bpf.LoadMemShift:
		return checkOffset(expr, i.Off, 1)
	case bpf.LoadIndirect:
		// Behind a tunnel header libpcap addresses metadata indirectly too.
		if i.Off >= metadataOffset {
			return noMetadata(expr, bpf.Extension(i.Off-metadataOffset))
		}
		return checkOffset(expr, i.Off, i.Size)
	case bpf.Jump:
		if int32(i.Skip) < 0 {
			return refuse(expr, `needs a loop, which a filter in the kernel cannot have; use "proto"`, "protochain")
		}
	}
	return nil
}

// metadataOffset is SKF_AD_OFF, the packet offset from which on Linux's classic
// BPF reads facts about the skb instead of its bytes.
const metadataOffset = 0xfffff000

func noMetadata(expr string, ext bpf.Extension) error {
	const instead = "is not in the packet; use --filter.interface"
	switch ext {
	case bpf.ExtType:
		return refuse(expr, instead, "inbound", "outbound")
	case bpf.ExtInterfaceIndex:
		return refuse(expr, instead, "ifindex")
	default:
		msg := fmt.Sprintf("skb metadata %d is not in the packet", ext)
		return &SyntaxError{Expr: expr, Offset: -1, Msg: msg}
	}
}

func checkOffset(expr string, offset uint32, size int) error {
	// A negative offset is the work of index arithmetic; it is checked at run time.
	if int32(offset) < 0 || int(offset)+size <= frameLimit {
		return nil
	}
	msg := fmt.Sprintf("can never match: it reads at byte %d or beyond, but at most %d bytes of a frame are captured",
		offset, frameLimit)
	return &SyntaxError{Expr: expr, Offset: -1, Msg: msg}
}
