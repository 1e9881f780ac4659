// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// subsystemShift is where the owner of a drop reason begins in its number
// (SKB_DROP_REASON_SUBSYS_SHIFT, include/net/dropreason.h since 6.4).
const subsystemShift = 16

const (
	reasonPrefix    = "SKB_DROP_REASON_"
	subsystemPrefix = "SKB_DROP_REASON_SUBSYS_"
)

// Reasons names the drop reasons of the running kernel, modules included.
type Reasons struct {
	names      map[uint32]string
	subsystems map[uint32]string
}

// ReadReasons takes the names from enums in BTF: numbers change from release
// to release. Modules that are not loaded have no reasons to name.
func ReadReasons(cache *btf.Cache) (*Reasons, error) {
	r := &Reasons{names: make(map[uint32]string), subsystems: make(map[uint32]string)}
	spec, err := cache.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read drop reasons: %w", err)
	}
	r.add(spec, "skb_drop_reason", r.names, reasonPrefix)
	r.add(spec, "skb_drop_reason_subsys", r.subsystems, subsystemPrefix)
	r.add(spec, "qdisc_drop_reason", r.names, "QDISC_DROP_")
	for module, enum := range map[string]string{
		"mac80211": "mac80211_drop_reason", "openvswitch": "ovs_drop_reason",
	} {
		owner, err := cache.Module(module)
		if err != nil {
			owner = spec // built in, or absent
		}
		r.add(owner, enum, r.names, "")
	}
	return r, nil
}

func (r *Reasons) add(spec *btf.Spec, enum string, into map[uint32]string, prefix string) {
	var found *btf.Enum
	if err := spec.TypeByName(enum, &found); err != nil {
		return // older kernels have fewer of them
	}
	for _, value := range found.Values {
		name := strings.TrimPrefix(value.Name, prefix)
		if strings.HasPrefix(name, "_") || name == "MAX" || name == "SUBSYS_MASK" {
			continue
		}
		number := uint32(value.Value)
		if _, taken := into[number]; !taken {
			into[number] = name
		}
	}
}

// Name returns the reason's name and its subsystem, "core" for the kernel's
// own. A number that BTF does not name is written out.
func (r *Reasons) Name(number uint32) (reason, subsystem string) {
	reason, ok := r.names[number]
	if !ok {
		reason = fmt.Sprintf("0x%x", number)
	}
	owner := number >> subsystemShift
	if owner == 0 {
		return reason, "core"
	}
	subsystem, ok = r.subsystems[owner]
	if !ok {
		return reason, fmt.Sprintf("0x%x", owner)
	}
	return reason, strings.ToLower(subsystem)
}
