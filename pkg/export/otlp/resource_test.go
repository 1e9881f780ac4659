// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"net"
	"slices"
	"testing"
)

func TestResourceFromEnvironment(t *testing.T) {
	for _, c := range []struct {
		name, attributes, service, version string
		want                               map[string]string
	}{
		{"defaults", "", "", "1.2.3", map[string]string{"service.name": "skbpath", "service.version": "1.2.3"}},
		{"unstamped", "", "", "", map[string]string{"service.version": "unknown"}},
		{
			"overridden", "service.version=9,host.name=edge%201,host.id=abc,ip=192.0.2.1,service.name=b", "a", "1.2.3",
			map[string]string{"service.name": "a", "service.version": "9", "host.name": "edge 1", "host.id": "abc", "ip": "192.0.2.1"},
		},
		{"set to nothing", "service.name=,service.version=", "", "1.2.3", map[string]string{"service.name": "skbpath", "service.version": "1.2.3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", c.attributes)
			t.Setenv("OTEL_SERVICE_NAME", c.service)
			r, err := newResource(t.Context(), c.version)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]string)
			for _, kv := range r.Attributes() {
				got[string(kv.Key)] = kv.Value.String()
			}
			for key, want := range c.want {
				if got[key] != want {
					t.Errorf("%s is %q, want %q", key, got[key], want)
				}
			}
			if r.SchemaURL() == "" {
				t.Error("no schema")
			}
		})
	}
}

func TestHostAddresses(t *testing.T) {
	var all []net.Addr
	for _, text := range []string{"127.0.0.1/8", "::1/128", "fe80::1/64", "192.0.2.7/24", "2001:db8::7/64"} {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	if got, want := hostAddresses(all), []string{"192.0.2.7", "2001:db8::7"}; !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
	if got := hostAddresses(slices.Repeat(all, 100)); len(got) != maxAddresses {
		t.Errorf("%d addresses, want %d", len(got), maxAddresses)
	}
}
