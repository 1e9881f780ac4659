// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"net"
	"net/netip"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"golang.org/x/sys/unix"
)

const (
	keyKernelRelease = attribute.Key("skbpath.kernel.release")

	// keyIP is what Jaeger knows a host by: without it, it suspects that the
	// spans of a trace were stamped by different clocks.
	keyIP = attribute.Key("ip")

	// maxAddresses bounds host.ip; a node may have one address for every pod.
	maxAddresses = 16
)

// hostAttributes says more of the host than the SDK does. What cannot be found
// out is left out.
func hostAttributes() []attribute.KeyValue {
	addresses, _ := net.InterfaceAddrs()
	texts := hostAddresses(addresses)
	all := []attribute.KeyValue{keyIP.String(append(texts, "127.0.0.1")[0])}
	if len(texts) > 0 {
		all = append(all, semconv.HostIP(texts...))
	}
	if id := machineID(); id != "" {
		all = append(all, semconv.HostID(id))
	}
	if release := kernelRelease(); release != "" {
		all = append(all, keyKernelRelease.String(release))
	}
	return all
}

// hostAddresses returns the addresses that others may know the host by.
func hostAddresses(all []net.Addr) []string {
	var texts []string
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().IsGlobalUnicast() && len(texts) < maxAddresses {
			texts = append(texts, prefix.Addr().String())
		}
	}
	return texts
}

// machineID is what systemd and the conventions call the id of a host.
func machineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if id, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(id))
		}
	}
	return ""
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
