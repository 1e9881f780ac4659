// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// A trampoline is a symbol of "bpf", named by this and its key in decimal: for a function
// of the kernel its id in BTF, marked, below the id of the BTF (bpf_trampoline_compute_key).
const (
	trampolinePrefix = "bpf_trampoline_"
	ofKernelFunction = 1 << 31
)

// Trampolines returns those of the functions given, by their ids in the kernel's BTF, each
// under the name of its function.
func (s *Symbols) Trampolines(functions map[btf.TypeID]string) *Symbols {
	var found []Symbol
	for symbol := range s.all() {
		digits, ok := strings.CutPrefix(symbol.Name, trampolinePrefix)
		if symbol.Module != "bpf" || !ok {
			continue
		}
		key, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || key&ofKernelFunction == 0 {
			continue
		}
		if name, known := functions[btf.TypeID(key&(ofKernelFunction-1))]; known {
			found = append(found, Symbol{Address: symbol.Address, Name: name})
		}
	}
	return NewSymbols(found)
}
