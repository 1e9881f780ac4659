// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// table tells the kernel half of each function attached which counts are its
// own and what it means for a journey: bpf/function.h.
type table struct {
	functions     []string // by index
	rows          [functionRows]packetPathFunctionRow
	roles         [functionRows]packetPathFunctionRole // of targets of otherKind, in the places of their rows
	displacements [displacements]uint16
	multiplier    uint32
}

// The sizes of bpf/function.h. A test holds these against the object's.
const (
	functionRows  = 8192
	displacements = 2048
	rowSize       = uint32(unsafe.Sizeof(packetPathFunctionRow{}))
	// maxFunctions is how full the rows may be: beyond, a perfect hash takes
	// long to find.
	maxFunctions = functionRows * 3 / 4
)

// newTable makes the table of functions, which are named by the low word of
// their address. Functions of one name share an index.
func newTable(functions map[uint32]string) (*table, error) {
	if len(functions) > maxFunctions {
		return nil, fmt.Errorf("%d functions to attach to, and at most %d can be told apart: choose fewer by name", len(functions), maxFunctions)
	}
	t := &table{}
	index := make(map[string]int)
	rows := make([]addressedRow, 0, len(functions))
	for address, name := range functions {
		if _, known := index[name]; !known {
			index[name] = len(t.functions)
			t.functions = append(t.functions, name)
		}
		rows = append(rows, addressedRow{address, newRow(name, index[name])})
	}
	// Of random multipliers more than nine in ten serve.
	const tries = 100
	random := rand.New(rand.NewPCG(uint64(len(rows)), 0))
	for range tries {
		if t.place(rows, random.Uint32()|1) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no perfect hash of %d functions found", len(functions))
}

// addressedRow is the row of the function whose address has this low word.
type addressedRow struct {
	address uint32
	row     packetPathFunctionRow
}

// newRow says what the function means whose counts come at this index.
func newRow(name string, index int) packetPathFunctionRow {
	row := packetPathFunctionRow{Index: uint32(index)}
	if outcome, ok := journey.Evidence(name); ok {
		row.Outcome = uint8(outcome) + 1
		row.Flags = uint8(packetPathFunctionFlagFUNCTION_SPECIAL)
	}
	if journey.Queues(name) {
		row.Flags = uint8(packetPathFunctionFlagFUNCTION_SPECIAL | packetPathFunctionFlagFUNCTION_QUEUES)
	}
	return row
}

// place gives every row a place of its own, those with the most rivals first.
func (t *table) place(rows []addressedRow, multiplier uint32) bool {
	clear(t.rows[:])
	clear(t.displacements[:])
	t.multiplier = multiplier
	groups := make([][]addressedRow, displacements)
	for _, r := range rows {
		group := r.address * multiplier >> 21
		groups[group] = append(groups[group], r)
	}
	order := make([]int, displacements)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(groups[b]), len(groups[a])) })
	taken := make([]bool, functionRows)
	for _, group := range order {
		if !t.placeGroup(groups[group], group, taken) {
			return false
		}
	}
	return true
}

// placeGroup finds the displacement by which all rows of a group hit places that
// are free.
func (t *table) placeGroup(rows []addressedRow, group int, taken []bool) bool {
	for displacement := range uint32(functionRows) {
		places := make([]uint32, 0, len(rows))
		for _, r := range rows {
			place := (r.address*t.multiplier>>8 ^ displacement) & (functionRows - 1)
			if taken[place] || slices.Contains(places, place) {
				break
			}
			places = append(places, place)
		}
		if len(places) < len(rows) {
			continue
		}
		t.displacements[group] = uint16(displacement * rowSize)
		for i, place := range places {
			taken[place] = true
			t.rows[place] = rows[i].row
		}
		return true
	}
	return false
}

// setRoles says what the functions mean that have no program for their kind.
func (t *table) setRoles(targets []target) {
	for _, target := range targets {
		if target.kind() == otherKind {
			t.roles[t.placeOf(uint32(target.symbol.Address))] = target.role()
		}
	}
}

// placeOf is the index of the row that row_offset() of bpf/function.h finds.
func (t *table) placeOf(address uint32) uint32 {
	hash := address * t.multiplier
	return (hash>>8 ^ uint32(t.displacements[hash>>21])/rowSize) & (functionRows - 1)
}

// store puts the table into the programs.
func (t *table) store(spec *ebpf.CollectionSpec) error {
	for _, program := range spec.Programs {
		setConstant(program.Instructions, multiplierMark, int32(t.multiplier))
	}
	for name, value := range map[string]any{
		packetPathVarFunctionRows: &t.rows, packetPathVarFunctionRoles: &t.roles,
		packetPathVarDisplacements: &t.displacements,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("tell the eBPF programs their functions: %w", err)
		}
	}
	return nil
}

// functionsOf names what is attached by the low words of their addresses.
func functionsOf(targets []target) map[uint32]string {
	functions := make(map[uint32]string, len(targets))
	for _, t := range targets {
		functions[uint32(t.symbol.Address)] = kernel.BaseName(t.symbol.Name)
	}
	return functions
}

// tracepointsByNumber names the tracepoints by what stands for their address.
func (n *names) tracepointsByNumber() map[uint32]string {
	functions := make(map[uint32]string, len(n.tracepoints))
	for i, name := range n.tracepoints {
		functions[uint32(i+1)] = name
	}
	return functions
}
