// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// registers is how many integer arguments x86-64 passes in registers.
const registers = 6

// Argument is where a function takes an skb.
type Argument struct {
	Register  int  // 1 to 6
	Reference bool // struct sk_buff **
}

// Function is a kernel function with at least one skb argument.
type Function struct {
	Name      string
	Module    string     // "" for the kernel itself
	ID        btf.TypeID // of the function in its BTF
	Arguments []Argument
}

// SkbFunctions returns the functions of one BTF that take an skb, const or
// not, directly or by reference, in a register.
func SkbFunctions(spec *btf.Spec, module string) ([]Function, error) {
	var found []Function
	for typ, err := range spec.All() {
		if err != nil {
			return nil, fmt.Errorf("read BTF: %w", err)
		}
		f, ok := typ.(*btf.Func)
		if !ok {
			continue
		}
		proto, ok := f.Type.(*btf.FuncProto)
		if !ok {
			continue
		}
		arguments := skbArguments(proto)
		if len(arguments) == 0 {
			continue
		}
		id, err := spec.TypeID(f)
		if err != nil {
			return nil, fmt.Errorf("read BTF: %w", err)
		}
		found = append(found, Function{Name: f.Name, Module: module, ID: id, Arguments: arguments})
	}
	return found, nil
}

// skbArguments follows the System V ABI: a structure of up to 16 bytes takes
// one register for each 8 bytes, a larger one none.
func skbArguments(proto *btf.FuncProto) []Argument {
	var found []Argument
	register := 1
	for _, parameter := range proto.Params {
		if register > registers {
			break
		}
		if reference, ok := skbPointer(parameter.Type); ok {
			found = append(found, Argument{Register: register, Reference: reference})
		}
		register += registersFor(parameter.Type)
	}
	return found
}

func registersFor(typ btf.Type) int {
	switch t := btf.UnderlyingType(typ).(type) {
	case *btf.Struct, *btf.Union:
		size, err := btf.Sizeof(t)
		if err != nil || size > 16 {
			return 0
		}
		return (size + 7) / 8
	}
	return 1
}

// skbPointer reports whether typ is a pointer to an skb, or a pointer to one.
func skbPointer(typ btf.Type) (reference, ok bool) {
	pointer, isPointer := btf.UnderlyingType(typ).(*btf.Pointer)
	if !isPointer {
		return false, false
	}
	target := btf.UnderlyingType(pointer.Target)
	if inner, isPointer := target.(*btf.Pointer); isPointer {
		reference = true
		target = btf.UnderlyingType(inner.Target)
	}
	s, isStruct := target.(*btf.Struct)
	return reference, isStruct && s.Name == "sk_buff"
}

// Tracepoint is a raw tracepoint with an skb argument.
type Tracepoint struct {
	Name     string // as the kernel attaches it
	Argument int    // position of the skb from 1
	Count    int    // number of arguments
}

// SkbTracepoints returns the raw tracepoints of a BTF that pass an skb. The
// kernel describes each by a typedef btf_trace_NAME of its callback, whose
// first parameter is not the tracepoint's.
func SkbTracepoints(spec *btf.Spec) ([]Tracepoint, error) {
	var found []Tracepoint
	for typ, err := range spec.All() {
		if err != nil {
			return nil, fmt.Errorf("read BTF: %w", err)
		}
		definition, ok := typ.(*btf.Typedef)
		if !ok {
			continue
		}
		name, ok := strings.CutPrefix(definition.Name, "btf_trace_")
		if !ok {
			continue
		}
		if t, ok := skbTracepoint(name, definition); ok {
			found = append(found, t)
		}
	}
	return found, nil
}

func skbTracepoint(name string, definition *btf.Typedef) (Tracepoint, bool) {
	pointer, ok := btf.UnderlyingType(definition).(*btf.Pointer)
	if !ok {
		return Tracepoint{}, false
	}
	proto, ok := btf.UnderlyingType(pointer.Target).(*btf.FuncProto)
	if !ok {
		return Tracepoint{}, false
	}
	for i, parameter := range proto.Params[1:] {
		if reference, ok := skbPointer(parameter.Type); ok && !reference {
			return Tracepoint{Name: name, Argument: i + 1, Count: len(proto.Params) - 1}, true
		}
	}
	return Tracepoint{}, false
}
