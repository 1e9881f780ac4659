// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/cilium/ebpf/asm"
)

// machine runs the eBPF that we emit, so that fuzzing needs neither root nor the
// kernel. (Loading and freeing programs at a fuzzer's pace can deadlock the
// kernel's JIT allocator: the frees fill the workqueue that an allocation waits
// for.) It is stricter than the verifier, which cannot know where a frame ends:
// reading past the last captured byte is an error. TestKernelAgreesWithReference
// is what ties it to the truth.
type machine struct {
	reg   [11]uint64
	stack [512]byte
	p     packet
}

// Where frame and stack begin in the machine's memory.
const (
	frameAddress = 1 << 40
	stackAddress = 1 << 41
)

// execute returns what body makes of p.
func execute(body asm.Instructions, p packet) (uint32, error) {
	m := &machine{p: p}
	m.reg[frameStart] = frameAddress
	m.reg[frameEnd] = frameAddress + uint64(len(p.frame))
	m.reg[asm.R10] = stackAddress + uint64(len(m.stack))
	labels, err := body.SymbolOffsets()
	if err != nil {
		return 0, err
	}
	for pc := 0; pc < len(body); {
		insn := body[pc]
		pc++
		switch class := insn.OpCode.Class(); {
		case class.IsALU():
			m.reg[insn.Dst], err = m.alu(insn)
		case class.IsLoad():
			m.reg[insn.Dst], err = m.load(m.reg[insn.Src]+uint64(insn.Offset), insn.OpCode.Size())
		case class.IsStore():
			err = m.store(m.reg[insn.Dst]+uint64(insn.Offset), m.reg[insn.Src], insn.OpCode.Size())
		case insn.OpCode.JumpOp() == asm.Exit:
			return uint32(m.reg[asm.R0]), nil
		case m.jumps(insn):
			if label := insn.Reference(); label != "" {
				pc = labels[label]
			} else {
				pc += int(insn.Offset)
			}
		}
		if err != nil {
			return 0, fmt.Errorf("%v: %w", insn, err)
		}
	}
	return 0, fmt.Errorf("no exit")
}

// operand returns the second operand of insn.
func (m *machine) operand(insn asm.Instruction) uint64 {
	if insn.OpCode.Source() == asm.RegSource {
		return m.reg[insn.Src]
	}
	return uint64(insn.Constant) // sign-extended
}

func (m *machine) alu(insn asm.Instruction) (uint64, error) {
	dst, src := m.reg[insn.Dst], m.operand(insn)
	op := insn.OpCode.ALUOp()
	if op == asm.Swap {
		return swap(dst, insn.Constant)
	}
	if (op == asm.Div || op == asm.Mod) && uint32(src) == 0 {
		return 0, fmt.Errorf("division by zero")
	}
	if insn.OpCode.Class() == asm.ALUClass {
		result, err := calculate(op, uint64(uint32(dst)), uint64(uint32(src)), 32)
		return uint64(uint32(result)), err
	}
	return calculate(op, dst, src, 64)
}

func calculate(op asm.ALUOp, dst, src, width uint64) (uint64, error) {
	switch op {
	case asm.Mov:
		return src, nil
	case asm.Add:
		return dst + src, nil
	case asm.Sub:
		return dst - src, nil
	case asm.Mul:
		return dst * src, nil
	case asm.Div:
		return dst / src, nil
	case asm.Mod:
		return dst % src, nil
	case asm.Or:
		return dst | src, nil
	case asm.And:
		return dst & src, nil
	case asm.Xor:
		return dst ^ src, nil
	case asm.LSh:
		return dst << (src % width), nil
	case asm.RSh:
		return dst >> (src % width), nil
	case asm.ArSh:
		return uint64(int64(dst) >> (src % width)), nil
	case asm.Neg:
		return -dst, nil
	default:
		return 0, fmt.Errorf("unknown operation")
	}
}

// swap is a conversion from network byte order, on whichever machine.
func swap(value uint64, size int64) (uint64, error) {
	little := binary.NativeEndian.Uint16([]byte{1, 0}) == 1
	switch {
	case size == 16 && little:
		return uint64(bits.ReverseBytes16(uint16(value))), nil
	case size == 32 && little:
		return uint64(bits.ReverseBytes32(uint32(value))), nil
	case !little:
		return value, nil
	default:
		return 0, fmt.Errorf("unknown size %d", size)
	}
}

func (m *machine) jumps(insn asm.Instruction) bool {
	dst, src := m.reg[insn.Dst], m.operand(insn)
	switch insn.OpCode.JumpOp() {
	case asm.Ja:
		return true
	case asm.JEq:
		return dst == src
	case asm.JNE:
		return dst != src
	case asm.JGT:
		return dst > src
	case asm.JGE:
		return dst >= src
	case asm.JLT:
		return dst < src
	case asm.JLE:
		return dst <= src
	case asm.JSet:
		return dst&src != 0
	default:
		panic(fmt.Sprintf("unknown jump %v", insn))
	}
}

func (m *machine) load(address uint64, size asm.Size) (uint64, error) {
	if address == frameAddress-4 && size == asm.Word {
		return uint64(m.p.wire), nil
	}
	bytes, err := m.at(address, size)
	if err != nil {
		return 0, err
	}
	switch size {
	case asm.Byte:
		return uint64(bytes[0]), nil
	case asm.Half:
		return uint64(binary.NativeEndian.Uint16(bytes)), nil
	default:
		return uint64(binary.NativeEndian.Uint32(bytes)), nil
	}
}

// store allows what is ever stored: words on the stack.
func (m *machine) store(address, value uint64, size asm.Size) error {
	if address < stackAddress || size != asm.Word {
		return fmt.Errorf("store of %v at %#x", size, address)
	}
	bytes, err := m.at(address, size)
	if err == nil {
		binary.NativeEndian.PutUint32(bytes, uint32(value))
	}
	return err
}

// at returns the memory from address on, if it has size bytes left.
func (m *machine) at(address uint64, size asm.Size) ([]byte, error) {
	memory, base := m.p.frame, uint64(frameAddress)
	if address >= stackAddress {
		memory, base = m.stack[:], stackAddress
	}
	offset := address - base // huge if below
	if end := uint64(len(memory)); offset >= end || end-offset < uint64(size.Sizeof()) {
		return nil, fmt.Errorf("access at %d of %d bytes", int64(offset), end)
	}
	return memory[offset:], nil
}
