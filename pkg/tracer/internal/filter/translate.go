// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"github.com/cilium/ebpf/asm"
	"github.com/cloudflare/cbpfc"
	"golang.org/x/net/bpf"
)

// The registers of the body.
const (
	frameStart = asm.R1
	frameEnd   = asm.R2
	regA       = asm.R0 // classic BPF's accumulator; also the result
	regX       = asm.R3 // classic BPF's index register
	regTmp     = asm.R4
	regLoad    = asm.R5 // address of indirect loads
)

// wireLength is where the packet's length on the wire is, from frameStart.
const wireLength = -4

// translate turns classic BPF into the body described at [Compile].
func translate(program []bpf.Instruction) (asm.Instructions, error) {
	const result = "filter_result"
	insns, err := cbpfc.ToEBPF(program, cbpfc.EBPFOpts{
		PacketStart: frameStart,
		PacketEnd:   frameEnd,
		Result:      regA,
		ResultLabel: result,
		Working:     [4]asm.Register{regA, regX, regTmp, regLoad},
		LabelPrefix: "filter",
	})
	if err != nil {
		return nil, err
	}

	body := make(asm.Instructions, 0, len(insns)+1)
	for len(insns) > 0 {
		mended, used := mend(insns)
		body = append(body, mended...)
		insns = insns[used:]
	}
	return append(body, asm.Return().WithSymbol(result)), nil
}

// mend returns what should stand in place of the first instructions of insns, and
// how many of them it replaces.
func mend(insns asm.Instructions) (asm.Instructions, int) {
	switch first := insns[0]; {
	case isCapturedLength(insns):
		load := asm.LoadMem(regA, frameStart, wireLength, asm.Word)
		return asm.Instructions{load.WithMetadata(first.Metadata)}, 2
	case isShiftByX(first):
		return shiftByX(first), 1
	default:
		return insns[:1], 1
	}
}

// isCapturedLength recognises how cbpfc computes len: end minus start, which is
// what we captured, not what is on the wire.
func isCapturedLength(insns asm.Instructions) bool {
	return len(insns) >= 2 &&
		sameOperation(insns[0], asm.Mov.Reg(regA, frameEnd)) &&
		sameOperation(insns[1], asm.Sub.Reg32(regA, frameStart))
}

func isShiftByX(insn asm.Instruction) bool {
	return sameOperation(insn, asm.LSh.Reg32(regA, regX)) ||
		sameOperation(insn, asm.RSh.Reg32(regA, regX))
}

// shiftByX makes a shift by 32 bits or more give 0, as in classic BPF. eBPF takes
// the shift modulo 32.
func shiftByX(shift asm.Instruction) asm.Instructions {
	skipOne := asm.JLT.Imm(regX, 32, "").WithReference("")
	skipOne.Offset = 1
	return asm.Instructions{shift, skipOne, asm.Mov.Imm(regA, 0)}
}

// sameOperation compares two instructions, but for their metadata.
func sameOperation(a, b asm.Instruction) bool {
	return a.OpCode == b.OpCode && a.Dst == b.Dst && a.Src == b.Src &&
		a.Offset == b.Offset && a.Constant == b.Constant
}
