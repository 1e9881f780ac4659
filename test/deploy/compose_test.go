// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// load reads the compose file as docker compose does: schema, interpolation,
// consistency.
func load(t *testing.T, environment ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yaml")}, cli.WithEnv(environment))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeHasTheServices(t *testing.T) {
	want := []string{"collector", "grafana", "jaeger", "prometheus", "skbpath", "tempo"}
	if got := load(t).ServiceNames(); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("services %v, want %v", got, want)
	}
}

func TestImagesArePinned(t *testing.T) {
	version := regexp.MustCompile(`:v?[0-9]+\.[0-9]+\.[0-9]+$`)
	for name, s := range load(t).Services {
		if s.Build == nil && !version.MatchString(s.Image) {
			t.Errorf("%s: image %s names no version", name, s.Image)
		}
	}
}

// TestMountsExist: docker would make an empty directory in place of a file that
// is not there.
func TestMountsExist(t *testing.T) {
	for name, s := range load(t).Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil && !strings.HasPrefix(v.Source, "/sys/") {
				t.Errorf("%s: %v", name, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s may write to %s", name, v.Source)
			}
		}
	}
}

// TestPortsAreLocal: nothing that asks for no password is open to the network.
func TestPortsAreLocal(t *testing.T) {
	for name, s := range load(t).Services {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q", name, p.Published, p.HostIP)
			}
		}
	}
}

// TestEndpointsAreServices: hosts that configurations name are services.
func TestEndpointsAreServices(t *testing.T) {
	services := load(t).ServiceNames()
	files := []string{"docker-compose.yaml", "dashboards/collector.yml", "dashboards/grafana/datasources.yml", "dashboards/prometheus/prometheus.yml"}
	host := regexp.MustCompile(`(?:http://|endpoint: |targets: \[)([a-z][a-z0-9.-]*):[0-9]+`)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range host.FindAllStringSubmatch(string(text), -1) {
			found++
			if match[1] != "localhost" && !slices.Contains(services, match[1]) {
				t.Errorf("%s: there is no service %s", file, match[1])
			}
		}
	}
	if found < 7 {
		t.Errorf("only %d endpoints found", found)
	}
}

// TestPrivileges: what the exporter may do is what test/kernels proves that it
// needs, and no more.
func TestPrivileges(t *testing.T) {
	for name, s := range load(t).Services {
		if s.Privileged || s.Pid != "" || s.NetworkMode != "" || s.Ipc != "" || s.UserNSMode != "" {
			t.Errorf("%s asks for a namespace of the host or is privileged", name)
		}
		if name != "skbpath" && len(s.CapAdd) > 0 {
			t.Errorf("%s asks for %v", name, s.CapAdd)
		}
	}
	s := load(t).Services["skbpath"]
	if want := []string{"BPF", "PERFMON", "SYSLOG"}; !slices.Equal(s.CapAdd, want) || !slices.Equal(s.CapDrop, []string{"ALL"}) {
		t.Errorf("capabilities %v without %v, want %v only", s.CapAdd, s.CapDrop, want)
	}
}

func TestFilterFromEnvironment(t *testing.T) {
	for _, test := range []struct {
		environment []string
		want        string
	}{{nil, "icmp"}, {[]string{"SKBPATH_FILTER=tcp port 443"}, "tcp port 443"}} {
		command := load(t, test.environment...).Services["skbpath"].Command
		if got := command[len(command)-1]; got != test.want {
			t.Errorf("%v: filter %q, want %q", test.environment, got, test.want)
		}
	}
}
