// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"github.com/skbpath/skbpath/test/vm"
)

// container is what docker-compose.yaml gives skbpath of the host.
type container struct {
	capabilities []string // as in "bpf"
	directories  []string
}

func readContainer(t *testing.T) container {
	t.Helper()
	var compose struct {
		Services map[string]struct {
			CapAdd  []string `yaml:"cap_add"`
			Volumes []string
		}
	}
	if err := yaml.Unmarshal([]byte(readText(t, "../../docker-compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	var c container
	for _, capability := range compose.Services["skbpath"].CapAdd {
		c.capabilities = append(c.capabilities, strings.ToLower(capability))
	}
	for _, volume := range compose.Services["skbpath"].Volumes {
		from, to, _ := strings.Cut(volume, ":")
		if to != from+":ro" {
			t.Fatalf("volume %s: want the same place, read-only", volume)
		}
		c.directories = append(c.directories, from)
	}
	if len(c.capabilities) == 0 || len(c.directories) == 0 {
		t.Fatal("docker-compose.yaml gives skbpath nothing")
	}
	return c
}

// run is the command that contains skbpath with only these capabilities.
func (c *container) run(capabilities []string, arguments string) string {
	return fmt.Sprintf("sh /guest/contained.sh '%s' '%s' %s", strings.Join(capabilities, " "), strings.Join(c.directories, " "), arguments)
}

// without is all capabilities but one.
func (c *container) without(capability string) []string {
	var rest []string
	for _, other := range c.capabilities {
		if other != capability {
			rest = append(rest, other)
		}
	}
	return rest
}

// containerPart runs skbpath with what docker-compose.yaml gives it, and with
// one capability less than that. Debian restricts perf events further than the
// kernel itself does, which docs/limits.md tells of.
func containerPart() part {
	return part{
		name: "container",
		build: func(t *testing.T, _ *kernel) vm.Scenario {
			c := readContainer(t)
			var b strings.Builder
			b.WriteString("echo 2 >/proc/sys/kernel/perf_event_paranoid\necho 1 >/proc/sys/kernel/kptr_restrict\n")
			for _, capability := range c.capabilities {
				fmt.Fprintf(&b, "status=0; %s >\"$OUT/no-%[2]s.log\" 2>&1 || status=$?; echo $status >\"$OUT/no-%[2]s.exit\"\n",
					c.run(c.without(capability), "--check"), capability)
			}
			fmt.Fprintf(&b, "%s >\"$OUT/all.json\" 2>\"$OUT/all.log\" &\n", c.run(c.capabilities, "--print=json icmp"))
			b.WriteString("await 600 grep -q 'following packets' \"$OUT/all.log\"\n. /scenario/ping.sh\n")
			b.WriteString(`await 60 sh -c '[ "$(wc -l <"$OUT/all.json")" -ge 3 ]' || true # the check says what is missing` + "\n")
			b.WriteString("kill -TERM $(pidof skbpath)\nwait\n")
			return vm.Scenario{Name: "container", Script: b.String(), Timeout: partTimeout}
		},
		check: checkContainer,
	}
}

func checkContainer(t *testing.T, k *kernel, r vm.ScenarioResult) {
	log := readText(t, filepath.Join(r.Dir, "all.log"))
	if !strings.Contains(log, "backend="+k.backend+" ") || !strings.Contains(log, " refused=0 ") || strings.Contains(log, "level=ERROR") {
		t.Errorf("not attached by %s with nothing refused:\n%s", k.backend, log)
	}
	all := decode(t, filepath.Join(r.Dir, "all.json"))
	for _, c := range pingClaims() {
		c.nested = nil // it does not look into veth
		t.Run(c.what, func(t *testing.T) { c.check(t, all) })
	}
	for _, capability := range readContainer(t).capabilities {
		status := strings.TrimSpace(readText(t, filepath.Join(r.Dir, "no-"+capability+".exit")))
		log := readText(t, filepath.Join(r.Dir, "no-"+capability+".log"))
		if status != "1" || !strings.Contains(log, "CAP_"+strings.ToUpper(capability)) {
			t.Errorf("without %s: status %s\n%s", capability, status, log)
		}
	}
}
