// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
)

const (
	// filterStub is the subprogram whose body the pcap filter replaces.
	filterStub = "filter_frame"
	// tracepointMark stands in the code where a tracepoint's number goes.
	tracepointMark = 0x5ebacafe
)

// prepare cuts the collection down to the programs wanted and settles all that
// is decided before loading. wanted maps the name of each program to load to
// the name of the program in the ELF that it is made of, and its number.
type wanted map[string]wantedProgram

type wantedProgram struct {
	from   string
	number int32 // of a tracepoint
}

func prepare(o *Options, cache *btf.Cache, want wanted, source Source) (*ebpf.CollectionSpec, error) {
	spec, err := loadPacketPath()
	if err != nil {
		return nil, fmt.Errorf("read eBPF object: %w", err)
	}
	elf := maps.Clone(spec.Programs)
	clear(spec.Programs)
	for name, w := range want {
		program := elf[w.from].Copy()
		program.Name = name
		setNumber(program.Instructions, w.number)
		if len(o.Filter) > 0 {
			if program.Instructions, err = replaceFilter(program.Instructions, o.Filter); err != nil {
				return nil, err
			}
		}
		spec.Programs[name] = program
	}
	if err := size(spec); err != nil {
		return nil, err
	}
	return spec, configure(o, spec, cache, source)
}

func size(spec *ebpf.CollectionSpec) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	spec.Maps[packetPathMapFrames].MaxEntries = uint32(cpus)
	return nil
}

func configure(o *Options, spec *ebpf.CollectionSpec, cache *btf.Cache, source Source) error {
	config := packetPathTracerConfig{
		Interface:   kernel.NameWords(o.Interface),
		Netns:       o.Netns,
		Mark:        o.Mark & o.MarkMask,
		MarkMask:    o.MarkMask,
		MaxHops:     o.MaxHops,
		BucketMask:  spec.Maps[packetPathMapBuckets].MaxEntries - 1,
		Filtered:    flag(len(o.Filter) > 0),
		DirectLoads: flag(hasReadOnlyCast(cache)),
		DropEnds:    flag(source == SourceTracepoints),

		// Without every end, a rejection may outlive its packet.
		NeverSettled: flag(o.NeverSettled || source == SourceTracepoints),
	}
	if err := spec.Variables[packetPathVarConfig].Set(config); err != nil {
		return fmt.Errorf("configure eBPF programs: %w", err)
	}
	return nil
}

func flag(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}

// hasReadOnlyCast reports whether programs may read kernel memory directly
// (bpf_rdonly_cast, 6.2, a35b9af4ec2c).
func hasReadOnlyCast(cache *btf.Cache) bool {
	spec, err := cache.Kernel()
	if err != nil {
		return false
	}
	var f *btf.Func
	return spec.TypeByName("bpf_rdonly_cast", &f) == nil
}

func setNumber(instructions asm.Instructions, number int32) {
	for i := range instructions {
		if instructions[i].OpCode.Class().IsALU() && uint32(instructions[i].Constant) == tracepointMark {
			instructions[i].Constant = int64(number)
		}
	}
}

// replaceFilter puts body in place of the subprogram filter_frame. Programs
// that do not filter have none.
func replaceFilter(program, body asm.Instructions) (asm.Instructions, error) {
	begin := -1
	end := len(program)
	for i := range program {
		isFunction := btf.FuncMetadata(&program[i]) != nil
		if isFunction && begin >= 0 {
			end = i
			break
		}
		if program[i].Symbol() == filterStub {
			begin = i
		}
	}
	if begin < 0 {
		return program, nil
	}
	if len(body) == 0 {
		return nil, errors.New("empty filter")
	}
	// A first instruction without effect carries the symbol, the type and the
	// line of the stub: the kernel wants them at the subprogram's start.
	entry := asm.Mov.Reg(asm.R0, asm.R1)
	entry.Metadata = program[begin].Metadata
	replaced := make(asm.Instructions, 0, len(program)+len(body))
	replaced = append(replaced, program[:begin]...)
	replaced = append(replaced, entry)
	replaced = append(replaced, body...)
	return append(replaced, program[end:]...), nil
}
