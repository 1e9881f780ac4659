// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"testing"

	"github.com/cilium/ebpf/btf"
)

func TestOffsetOf(t *testing.T) {
	number := &btf.Int{Name: "u16", Size: 2}
	inner := &btf.Struct{Size: 4, Members: []btf.Member{{Name: "c", Type: number}, {Name: "d", Type: number, Offset: 16}}}
	union := &btf.Union{Size: 4, Members: []btf.Member{{Name: "headers", Type: inner}, {Type: &btf.Typedef{Name: "t", Type: inner}}}}
	outer := &btf.Struct{Name: "s", Size: 12, Members: []btf.Member{
		{Name: "a", Type: number}, {Name: "bit", Type: number, Offset: 16, BitfieldSize: 1}, {Type: union, Offset: 64},
	}}
	for member, want := range map[string]uint32{"a": 0, "headers": 8, "c": 8, "d": 10} {
		if got, found := OffsetOf(outer, member); !found || got != want {
			t.Errorf("%s is at %d, found %t; want %d", member, got, found, want)
		}
	}
	for _, member := range []string{"bit", "e", ""} {
		if got, found := OffsetOf(outer, member); found {
			t.Errorf("%q is at %d, want none", member, got)
		}
	}
}
