// SPDX-License-Identifier: Apache-2.0

package filter

// #cgo LDFLAGS: -l:libpcap.a
// #include <stdlib.h>
// #include <pcap/pcap.h>
import "C"

import (
	"errors"
	"sync"
	"unsafe"

	"golang.org/x/net/bpf"
)

// snapLen is what libpcap programs return for a match. It is larger than any
// frame we show them, so it only has to be non-zero.
const snapLen = 65535

// libpcap serialises calls into libpcap. It has to be a package variable, since
// what it guards is state of the process: before 1.8 the parser, and in every
// version the name lookups in C libraries other than glibc.
var libpcap sync.Mutex

// pcapCompile lets libpcap compile and optimise expr for Ethernet. The error is
// libpcap's own text; see [explain] for the one users get.
func pcapCompile(expr string) ([]bpf.RawInstruction, error) {
	libpcap.Lock()
	defer libpcap.Unlock()

	handle := C.pcap_open_dead(C.DLT_EN10MB, snapLen)
	if handle == nil {
		return nil, errors.New("libpcap: out of memory")
	}
	defer C.pcap_close(handle)

	text := C.CString(expr)
	defer C.free(unsafe.Pointer(text))

	const optimize = 1
	var program C.struct_bpf_program
	if C.pcap_compile(handle, &program, text, optimize, C.PCAP_NETMASK_UNKNOWN) != 0 {
		return nil, errors.New(C.GoString(C.pcap_geterr(handle)))
	}
	defer C.pcap_freecode(&program)

	return rawInstructions(unsafe.Slice(program.bf_insns, program.bf_len)), nil
}

func rawInstructions(insns []C.struct_bpf_insn) []bpf.RawInstruction {
	raw := make([]bpf.RawInstruction, len(insns))
	for i, insn := range insns {
		raw[i] = bpf.RawInstruction{
			Op: uint16(insn.code),
			Jt: uint8(insn.jt),
			Jf: uint8(insn.jf),
			K:  uint32(insn.k),
		}
	}
	return raw
}
