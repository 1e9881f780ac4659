// SPDX-License-Identifier: Apache-2.0

// Package kernel reads facts of the running kernel: its functions and symbols,
// its tracepoints, its drop reasons, its clock and its network namespaces.
package kernel

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Symbol is one function of the kernel or of a module.
type Symbol struct {
	Address uint64
	Name    string
	Module  string // "" for the kernel itself
}

// Symbols are the kernel's functions in the order of their addresses. They are tens of
// thousands and stay as long as the program runs, so they hold no pointers that the
// garbage collector would follow each time.
type Symbols struct {
	names   string   // one after the other
	modules []string // the first is the kernel itself
	sorted  []place
	byName  []uint32 // indices into sorted, by name, then by address
}

// place is a Symbol by numbers.
type place struct {
	address uint64
	name    uint32 // where in Symbols.names
	length  uint16 // of the name, in bytes
	module  uint16 // index into Symbols.modules
}

// ErrSymbolsHidden means that the kernel shows no addresses to this process.
var ErrSymbolsHidden = errors.New("kernel symbol addresses are hidden (run as root; kernel.kptr_restrict must be below 2)")

// ReadSymbols reads /proc/kallsyms.
func ReadSymbols() (*Symbols, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, fmt.Errorf("read kernel symbols: %w", err)
	}
	defer f.Close()
	return parseSymbols(f)
}

func parseSymbols(r io.Reader) (*Symbols, error) {
	var found collector
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		address, name, module, err := parseSymbol(lines.Bytes())
		if err != nil {
			return nil, err
		}
		if name != nil {
			found.add(address, name, module)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read kernel symbols: %w", err)
	}
	if n := len(found.places); n == 0 || found.places[n-1].address == 0 {
		return nil, ErrSymbolsHidden
	}
	return found.symbols(), nil
}

// NewSymbols makes Symbols of functions in any order.
func NewSymbols(functions []Symbol) *Symbols {
	var found collector
	for _, f := range functions {
		found.add(f.Address, []byte(f.Name), []byte(f.Module))
	}
	return found.symbols()
}

// collector takes symbols in any order, of which those of a module mostly come together.
type collector struct {
	names   strings.Builder
	modules []string
	places  []place
}

func (c *collector) add(address uint64, name, module []byte) {
	p := place{address: address, name: uint32(c.names.Len()), length: uint16(len(name)), module: c.number(module)}
	c.names.Write(name)
	c.places = append(c.places, p)
}

func (c *collector) number(module []byte) uint16 {
	for i, known := range slices.Backward(c.modules) {
		if known == string(module) {
			return uint16(i)
		}
	}
	c.modules = append(c.modules, string(module))
	return uint16(len(c.modules) - 1)
}

func (c *collector) symbols() *Symbols {
	s := &Symbols{
		names: strings.Clone(c.names.String()), modules: c.modules, sorted: slices.Clone(c.places), // of their size
		byName: make([]uint32, len(c.places)),
	}
	slices.SortStableFunc(s.sorted, func(a, b place) int { return cmp.Compare(a.address, b.address) })
	for i := range s.byName {
		s.byName[i] = uint32(i)
	}
	slices.SortFunc(s.byName, func(a, b uint32) int {
		return cmp.Or(strings.Compare(s.name(a), s.name(b)), cmp.Compare(a, b))
	})
	return s
}

// parseSymbol reads "address type name", and after a tab "[module]" (s_show in
// kernel/kallsyms.c); there is no name for data symbols.
func parseSymbol(line []byte) (address uint64, name, module []byte, err error) {
	digits, rest, _ := bytes.Cut(line, []byte(" "))
	kind, rest, whole := bytes.Cut(rest, []byte(" "))
	address, err = strconv.ParseUint(string(digits), 16, 64)
	if err != nil || !whole || len(kind) != 1 {
		return 0, nil, nil, fmt.Errorf("kernel symbols: malformed line %q", line)
	}
	switch kind[0] {
	case 't', 'T', 'w', 'W': // text
	default:
		return 0, nil, nil, nil
	}
	name, module, _ = bytes.Cut(rest, []byte("\t"))
	return address, name, bytes.Trim(module, "[]"), nil
}

// name is that of the symbol of this index into s.sorted.
func (s *Symbols) name(i uint32) string {
	p := s.sorted[i]
	return s.names[p.name:][:p.length]
}

func (s *Symbols) at(i uint32) Symbol {
	p := s.sorted[i]
	return Symbol{Address: p.address, Name: s.name(i), Module: s.modules[p.module]}
}

func (s *Symbols) all() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		for i := range s.sorted {
			if !yield(s.at(uint32(i))) {
				return
			}
		}
	}
}

// Named returns the symbols of that name, by address; static functions may share one.
func (s *Symbols) Named(name string) []Symbol {
	first, _ := slices.BinarySearchFunc(s.byName, name, func(i uint32, name string) int {
		return strings.Compare(s.name(i), name)
	})
	var found []Symbol
	for _, i := range s.byName[first:] {
		if s.name(i) != name {
			break
		}
		found = append(found, s.at(i))
	}
	return found
}

// SuffixedByBase groups by function name the symbols that the compiler renamed
// for a change that keeps the arguments in their registers (.isra, .constprop).
// Halves of functions (.part, .cold) are left out.
func (s *Symbols) SuffixedByBase() map[string][]Symbol {
	bases := make(map[string][]Symbol)
	for symbol := range s.all() {
		base, suffix, ok := strings.Cut(symbol.Name, ".")
		if !ok || strings.Contains(suffix, "part") || strings.Contains(suffix, "cold") {
			continue
		}
		bases[base] = append(bases[base], symbol)
	}
	return bases
}

// reach is more than any function has, and less than lies between the kernel's text and
// that of trampolines and programs.
const reach = 1 << 20

// At returns the function that the address lies in: the nearest symbol at or
// below it, unless it is beyond reach.
func (s *Symbols) At(address uint64) (Symbol, bool) {
	i, exact := s.from(address)
	if !exact {
		i--
	}
	if i < 0 || address-s.sorted[i].address >= reach {
		return Symbol{}, false
	}
	return s.at(uint32(i)), true
}

// from returns the index of the first symbol at or above the address, and whether
// it is at it.
func (s *Symbols) from(address uint64) (index int, exact bool) {
	return slices.BinarySearchFunc(s.sorted, address, func(p place, a uint64) int {
		return cmp.Compare(p.address, a)
	})
}

// Size returns how many bytes from its address on belong to a symbol, padding
// included, at most 4,096.
func (s *Symbols) Size(symbol Symbol) uint32 {
	const most = 4096
	if i, _ := s.from(symbol.Address + 1); i < len(s.sorted) {
		return uint32(min(s.sorted[i].address-symbol.Address, most))
	}
	return most
}

// Widen restores an address from its low word. Kernel and module text share
// the upper word on x86-64, where both lie in the top 2 GiB.
func (s *Symbols) Widen(low uint32) uint64 {
	return s.sorted[len(s.sorted)-1].address&^0xffffffff | uint64(low)
}

// BaseName is the function that a symbol with a compiler's suffix was made of.
func BaseName(symbol string) string {
	base, _, _ := strings.Cut(symbol, ".")
	return base
}
