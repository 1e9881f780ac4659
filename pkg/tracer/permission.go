// SPDX-License-Identifier: Apache-2.0

package tracer

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// explainPermission tells what may refuse a call that the capabilities allow.
func explainPermission(err error) error {
	var rejected *ebpf.VerifierError // EACCES too, and no matter of permission
	if !errors.Is(err, os.ErrPermission) || errors.As(err, &rejected) {
		return err
	}
	return fmt.Errorf("the kernel refuses although the capabilities are there (lockdown or a security module?): %w", err)
}

func missingCapabilities() string {
	has, err := effectiveCapabilities()
	if err != nil || has&(1<<unix.CAP_SYS_ADMIN) != 0 {
		return ""
	}
	missing := ""
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_PERFMON, "CAP_PERFMON"}, {unix.CAP_SYSLOG, "CAP_SYSLOG"}} {
		if has&(1<<c.bit) == 0 {
			if missing != "" {
				missing += ", "
			}
			missing += c.name
		}
	}
	return missing
}

func effectiveCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}
