// SPDX-License-Identifier: Apache-2.0

package kernel

import "github.com/cilium/ebpf/btf"

// OffsetOf returns where in a structure a member begins, in bytes. It looks into
// structures and unions without a name, as C does. False: there is no such member, or
// it is a bit field.
func OffsetOf(t btf.Type, member string) (offset uint32, found bool) {
	var members []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		switch m.Name {
		case "":
			if within, found := OffsetOf(m.Type, member); found {
				return m.Offset.Bytes() + within, true
			}
		case member:
			return m.Offset.Bytes(), m.BitfieldSize == 0
		}
	}
	return 0, false
}
