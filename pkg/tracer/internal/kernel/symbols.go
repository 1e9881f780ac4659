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

// Symbols are the kernel's functions in the order of their addresses.
type Symbols struct {
	sorted []Symbol
	byName map[string]int   // indices into sorted
	others map[string][]int // of further symbols of the same names
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
	var found []Symbol
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		symbol, ok, err := parseSymbol(lines.Bytes())
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, symbol)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read kernel symbols: %w", err)
	}
	if len(found) == 0 || found[len(found)-1].Address == 0 {
		return nil, ErrSymbolsHidden
	}
	return NewSymbols(found), nil
}

// NewSymbols makes Symbols of functions in any order.
func NewSymbols(functions []Symbol) *Symbols {
	s := &Symbols{sorted: functions, byName: make(map[string]int, len(functions)), others: make(map[string][]int)}
	slices.SortStableFunc(s.sorted, func(a, b Symbol) int { return cmp.Compare(a.Address, b.Address) })
	for i, symbol := range s.sorted {
		if _, known := s.byName[symbol.Name]; known {
			s.others[symbol.Name] = append(s.others[symbol.Name], i)
			continue
		}
		s.byName[symbol.Name] = i
	}
	return s
}

// parseSymbol reads "address type name", and after a tab "[module]" (s_show in
// kernel/kallsyms.c); ok is false for data symbols.
func parseSymbol(line []byte) (symbol Symbol, ok bool, err error) {
	digits, rest, _ := bytes.Cut(line, []byte(" "))
	kind, rest, whole := bytes.Cut(rest, []byte(" "))
	address, err := strconv.ParseUint(string(digits), 16, 64)
	if err != nil || !whole || len(kind) != 1 {
		return Symbol{}, false, fmt.Errorf("kernel symbols: malformed line %q", line)
	}
	switch kind[0] {
	case 't', 'T', 'w', 'W': // text
	default:
		return Symbol{}, false, nil
	}
	name, module, _ := bytes.Cut(rest, []byte("\t"))
	return Symbol{Address: address, Name: string(name), Module: string(bytes.Trim(module, "[]"))}, true, nil
}

// Named returns the symbols of that name; static functions may share one.
func (s *Symbols) Named(name string) []Symbol {
	first, known := s.byName[name]
	if !known {
		return nil
	}
	found := []Symbol{s.sorted[first]}
	for _, i := range s.others[name] {
		found = append(found, s.sorted[i])
	}
	return found
}

// SuffixedByBase groups by function name the symbols that the compiler renamed
// for a change that keeps the arguments in their registers (.isra, .constprop).
// Halves of functions (.part, .cold) are left out.
func (s *Symbols) SuffixedByBase() map[string][]Symbol {
	bases := make(map[string][]Symbol)
	for _, symbol := range s.sorted {
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
	if i < 0 || address-s.sorted[i].Address >= reach {
		return Symbol{}, false
	}
	return s.sorted[i], true
}

// from returns the index of the first symbol at or above the address, and whether
// it is at it.
func (s *Symbols) from(address uint64) (index int, exact bool) {
	return slices.BinarySearchFunc(s.sorted, address, func(symbol Symbol, a uint64) int {
		return cmp.Compare(symbol.Address, a)
	})
}

// Size returns how many bytes from its address on belong to a symbol, padding
// included, at most 4,096.
func (s *Symbols) Size(symbol Symbol) uint32 {
	const most = 4096
	if i, _ := s.from(symbol.Address + 1); i < len(s.sorted) {
		return uint32(min(s.sorted[i].Address-symbol.Address, most))
	}
	return most
}

// Widen restores an address from its low word. Kernel and module text share
// the upper word on x86-64, where both lie in the top 2 GiB.
func (s *Symbols) Widen(low uint32) uint64 {
	return s.sorted[len(s.sorted)-1].Address&^0xffffffff | uint64(low)
}

// BaseName is the function that a symbol with a compiler's suffix was made of.
func BaseName(symbol string) string {
	base, _, _ := strings.Cut(symbol, ".")
	return base
}
