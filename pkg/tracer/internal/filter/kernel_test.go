// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
)

// needKernel skips a test that loads eBPF, unless it was asked for: test/kernels
// does so in a virtual machine, whose kernel may hang.
func needKernel(t testing.TB) {
	t.Helper()
	if os.Getenv("SKBPATH_LOAD_EBPF") == "" {
		t.Skip("SKIPPED here, run in a VM by test/kernels: it loads eBPF (SKBPATH_LOAD_EBPF=1 runs it)")
	}
}

// frameOffset is where the frame begins in the map value. In front of it are the
// number of captured bytes and the length on the wire, a u32 each.
const frameOffset = 8

// A bench holds the array map in which programs look for their frame.
type bench struct {
	frames *ebpf.Map
	memory *ebpf.Memory
}

func newBench(t testing.TB) *bench {
	t.Helper()
	const mmapable = 1 << 10 // BPF_F_MMAPABLE
	frames, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.Array, KeySize: 4, MaxEntries: 1, Flags: mmapable,
		// The least Compile asks for, and the longest frame may begin anywhere in it.
		ValueSize: frameOffset + 64<<10,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { frames.Close() })
	memory, err := frames.Memory()
	if err != nil {
		t.Fatal(err)
	}
	return &bench{frames, memory}
}

// load wraps body in a program that calls it as a subprogram on the map's frame.
// It is for a few hundred programs at most; see machine for why.
func (b *bench) load(t testing.TB, body asm.Instructions) *ebpf.Program {
	t.Helper()
	const seed = 0x5eed // what the callee must preserve
	insns := asm.Instructions{
		asm.LoadMapValue(asm.R1, b.frames.FD(), 0),
		asm.LoadMem(asm.R3, asm.R1, 0, asm.Word),
		asm.JGT.Imm(asm.R3, frameLimit, "broken"),
		asm.Add.Imm(asm.R1, frameOffset),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.Add.Reg(asm.R2, asm.R3),
		asm.Mov.Imm(asm.R6, seed),
		asm.Call.Label("filter"),
		asm.JNE.Imm(asm.R6, seed, "broken"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, -1).WithSymbol("broken"),
		asm.Return(),
	}
	first := body[0].WithSymbol("filter")
	insns = append(append(insns, first), body[1:]...)
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: insns, License: "Apache-2.0"})
	if err != nil {
		var verifier *ebpf.VerifierError
		if errors.As(err, &verifier) {
			t.Fatalf("%+v\n%v", verifier, insns)
		}
		t.Fatal(err)
	}
	return prog
}

// run returns what prog makes of p.
func (b *bench) run(t testing.TB, prog *ebpf.Program, p packet) uint32 {
	t.Helper()
	header := binary.NativeEndian.AppendUint32(nil, uint32(len(p.frame)))
	header = binary.NativeEndian.AppendUint32(header, p.wire)
	if _, err := b.memory.WriteAt(append(header, p.frame...), 0); err != nil {
		t.Fatal(err)
	}
	result, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 14)})
	if err != nil {
		t.Fatal(err)
	}
	if result == 1<<32-1 {
		t.Fatal("the wrapper refused the frame, or a callee-saved register was clobbered")
	}
	return result
}

// reference returns what x/net's interpreter makes of p. Two instructions are put
// in terms that it knows: it takes len to be the captured length, and lacks
// negation.
func reference(t testing.TB, program []bpf.Instruction, p packet) int {
	t.Helper()
	patched := make([]bpf.Instruction, len(program))
	for i, insn := range program {
		switch insn {
		case bpf.LoadExtension{Num: bpf.ExtLen}:
			insn = bpf.LoadConstant{Dst: bpf.RegA, Val: p.wire}
		case bpf.NegateA{}:
			insn = bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 1<<32 - 1}
		}
		patched[i] = insn
	}
	vm, err := bpf.NewVM(patched)
	if err != nil {
		t.Fatal(err)
	}
	result, err := vm.Run(p.frame)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// compile stops before and after translation, for tests that need both halves.
func compile(t testing.TB, expr string) ([]bpf.Instruction, asm.Instructions) {
	t.Helper()
	program, err := classic(expr)
	if err != nil {
		t.Fatal(err)
	}
	body, err := translate(program)
	if err != nil {
		t.Fatal(err)
	}
	return program, body
}

func TestKernelAgreesWithReference(t *testing.T) {
	needKernel(t)
	b := newBench(t)
	corpus := packets()
	corpus = append(corpus, mutations(rand.New(rand.NewPCG(1, 2)), corpus, 400)...)
	for _, expr := range expressions() {
		t.Run(expr, func(t *testing.T) {
			program, body := compile(t, expr)
			prog := b.load(t, body)
			defer prog.Close()
			matches := 0
			for _, p := range corpus {
				want, got := reference(t, program, p), b.run(t, prog, p)
				if got != uint32(want) {
					t.Fatalf("kernel returns %d, reference %d, on %d bytes % x (%d on the wire)\n%v",
						got, want, len(p.frame), p.frame, p.wire, body)
				}
				if want != 0 {
					matches++
				}
			}
			t.Logf("%d of %d packets match", matches, len(corpus))
			if matches == 0 || matches == len(corpus) {
				t.Errorf("%d of %d packets match: the corpus does not try this expression", matches, len(corpus))
			}
		})
	}
}

// TestVerdicts states outright what is ours to decide rather than libpcap's.
func TestVerdicts(t *testing.T) {
	needKernel(t)
	b := newBench(t)
	syn := ether(0x0800, ip4{src: "10.0.0.1", dst: "10.0.0.2", proto: 6}.with(tcp(1000, 80, 2, "")))
	tests := []struct {
		name, expr string
		packet     packet
		want       bool
	}{
		{"len is the wire length", "len == 9000", packet{syn, 9000}, true},
		{"len is not the captured length", "len == 54", packet{syn, 9000}, false},
		{"len exceeds 16 bits", "len == 70000", packet{syn, 70000}, true},
		{"greater", "greater 9000", packet{syn, 9000}, true},
		{"not greater", "greater 9001", packet{syn, 9000}, false},
		{"less", "less 54", packet{syn, 9000}, false},
		{"len after a load", "tcp and len == 9000", packet{syn, 9000}, true},
		{"len twice", "len > 8999 and (arp or len < 9001)", packet{syn, 9000}, true},
		{"len in arithmetic", "len - ip[2:2] == 8960", packet{syn, 9000}, true},
		{"beyond the captured bytes", "tcp port 80", packet{syn[:36], 54}, false},
		{"beyond the captured bytes, negated", "not tcp port 80", packet{syn[:36], 54}, false},
		{"last captured byte", "tcp[19] == 0", whole(syn), true},
		{"first byte not captured", "tcp[20] == 0", whole(syn), false},
		{"empty frame", "ip", packet{nil, 54}, false},
		{"empty frame, length only", "len == 54", packet{nil, 54}, true},
		{"always true", "len >= 0", packet{nil, 0}, true},
		{"index before the frame", "ip[ip[9] - 40] == 0", whole(syn), false},
		{"negative index within the frame", "ip[ip[9] - 8] == 8", whole(syn), true}, // EtherType
		{"shift by 32 and more", "ip[9] << ip[8] == 0", whole(syn), true},
		{"division by zero", "ip[9] / ip[1] == 0", whole(syn), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, _, err := Compile(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			prog := b.load(t, body)
			defer prog.Close()
			if got := b.run(t, prog, tt.packet) != 0; got != tt.want {
				t.Errorf("%q matches: %v, want %v", tt.expr, got, tt.want)
			}
		})
	}
}

// TestLongExpression makes jumps that no 8-bit offset spans.
func TestLongExpression(t *testing.T) {
	needKernel(t)
	b := newBench(t)
	expr := "host 10.0.0.1"
	for i := range 300 {
		expr += fmt.Sprintf(" or src host 10.9.%d.%d", i/256, i%256)
	}
	program, body := compile(t, expr)
	prog := b.load(t, body)
	defer prog.Close()
	for _, p := range packets() {
		if want, got := reference(t, program, p), b.run(t, prog, p); got != uint32(want) {
			t.Fatalf("kernel returns %d, reference %d, on % x", got, want, p.frame)
		}
	}
}
