// SPDX-License-Identifier: Apache-2.0

package tracer

import (
	"log/slog"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// naming turns the numbers of namespaces and cgroups into what people call them.
type naming struct {
	netns   *kernel.NetnsNames
	cgroups *kernel.Cgroups // nil where there are none
}

func openNaming(log *slog.Logger) (*naming, error) {
	netns, err := kernel.NewNetnsNames()
	if err != nil {
		return nil, err
	}
	cgroups, err := kernel.OpenCgroups()
	if err != nil { // no reason not to follow packets
		log.Info("journeys do not name containers", "err", err)
	}
	return &naming{netns, cgroups}, nil
}

func (n *naming) complete(j *journey.Journey, cgroup uint64) {
	n.netns.Complete(j.Hops)
	if n.cgroups != nil && j.Process != nil && cgroup != 0 {
		n.cgroups.Complete(j.Process, cgroup)
	}
}

func (n *naming) losses() []journey.Loss {
	all := n.netns.Losses()
	if n.cgroups != nil {
		all = append(all, n.cgroups.Losses()...)
	}
	return all
}

func (n *naming) close() error {
	if n.cgroups == nil {
		return nil
	}
	return n.cgroups.Close()
}
