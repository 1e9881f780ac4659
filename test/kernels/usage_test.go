// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/vm"
)

// usageCase is a command that ends by itself: with this status, and with one
// line on standard error that is like errorLine, or none.
type usageCase struct {
	name      string
	command   string // as the shell reads it
	status    string
	errorLine string // regular expression
	output    string // regular expression
}

func usageCases() []usageCase {
	const (
		run    = "skbpath --web.listen-address=127.0.0.1:0 "
		failed = "1"
		usage  = "2"
	)
	return []usageCase{
		{name: "version", command: "skbpath --version", status: "0", output: `^skbpath, version `},
		{
			name: "check", command: "skbpath --check", status: "0",
			output: `^source +functions by kprobe-multi\nattached +1[0-9]{3}\nrefused +0\nskipped +[0-9]+\n\nskipped, [0-9]+: ftrace cannot attach [^\n]*\n  \w+\n`,
		},
		{
			name: "check-tracepoints", command: "skbpath --check --probe.source=tracepoints", status: "0",
			output: `^source +tracepoints\nattached +[0-9]{2}\nrefused +0\n`,
		},
		{name: "ended-at-once", command: endedAtOnce, status: "0", output: `^took [01] s\nleft 0\n$`},
		{name: "vsock", command: overVsock, status: "0", output: `^HTTP/1\.0 200 OK\r\n(?s:.*)\nskbpath is healthy\.\n$`},
		{name: "unknown-flag", command: run + "--no-such-flag", status: usage, errorLine: `unknown long flag '--no-such-flag'`},
		{
			name: "check-drops", command: "skbpath --check --probe.source=drops", status: "0",
			output: `^source +drops\nattached +1\nrefused +0\n`,
		},
		{name: "unknown-source", command: run + "--probe.source=magic", status: usage, errorLine: `--probe\.source must be one of auto,functions,tracepoints,drops, got 'magic'`},
		{name: "filter-token", command: run + "'host 10.0.0.2 nad icmp'", status: usage, errorLine: `"host 10\.0\.0\.2 nad icmp": syntax error at "nad" \(column 15\)`},
		{name: "filter-end", command: run + "'host 10.0.0.2 and'", status: usage, errorLine: `the expression ends too early`},
		{name: "tracepoints-by-kprobe", command: run + "--probe.source=tracepoints --probe.backend=kprobe", status: usage, errorLine: `kprobe .*tracepoints`},
		{name: "tracepoints-by-name", command: run + "--probe.source=tracepoints --probe.functions=ip_rcv", status: usage, errorLine: `functions .*tracepoints`},
		{name: "functions-expression", command: run + "'--probe.functions=ip_('", status: usage, errorLine: `ip_\(.*missing closing \)`},
		{name: "no-such-netns", command: run + "--filter.netns=nowhere", status: usage, errorLine: `"nowhere".*no such file`},
		{name: "not-a-netns", command: run + "--filter.netns=/proc/self/ns/mnt", status: usage, errorLine: `"/proc/self/ns/mnt": .* no network namespace`},
		{name: "too-many-hops", command: run + "--journey.max-hops=4294967296", status: usage, errorLine: `max hops 4294967296`},
		{name: "no-mark", command: run + "--filter.mark=red", status: usage, errorLine: `mark "red"`},
		{name: "long-interface", command: run + "--filter.interface=an-interface-name", status: usage, errorLine: `"an-interface-name".* 15 characters`},
		{name: "no-such-function", command: run + "--probe.functions=no_such_function", status: failed, errorLine: `no_such_function|no function to attach to matches`},
		{name: "no-such-module", command: run + "--probe.kmods=no_such_module", status: failed, errorLine: `no_such_module`},
		{name: "no-web-config", command: run + "--web.config.file=/nowhere", status: usage, errorLine: `--web\.config\.file /nowhere: .*no such file`},
		{name: "bad-web-config", command: "echo nonsense >/run/web.yml; " + run + "--web.config.file=/run/web.yml", status: usage, errorLine: `--web\.config\.file /run/web\.yml: .*nonsense`},
		{name: "port-in-use", command: "socat TCP-LISTEN:9999,bind=127.0.0.1 /dev/null & await 60 sh -c 'ss -ltnH | grep -q :9999'; skbpath --web.listen-address=127.0.0.1:9999", status: failed, errorLine: `127\.0\.0\.1:9999: .*address already in use`},
		{name: "ready-file", command: run + "--probe.source=tracepoints --log.level=error --ready-file=/nowhere/ready", status: usage, errorLine: `--ready-file /nowhere/ready: .*no such file`},
		{name: "no-btf", command: without("/sys/kernel/btf", run), status: failed, errorLine: `no BTF .*CONFIG_DEBUG_INFO_BTF`},
		{name: "no-kprobes", command: without("/sys/bus/event_source/devices", run+"--probe.backend=kprobe"), status: failed, errorLine: `no kprobes .*CONFIG_KPROBES`},
		{name: "not-root", command: "su -s /bin/sh nobody -c '" + run + "--log.level=error'", status: failed, errorLine: `CAP_BPF.*CAP_PERFMON`},
		{name: "not-root-tracepoints", command: "su -s /bin/sh nobody -c '" + run + "--probe.source=tracepoints --log.level=error'", status: failed, errorLine: `CAP_BPF.*CAP_PERFMON`},
	}
}

// without is a command on a kernel that seems not to have what a directory tells of.
func without(directory, command string) string {
	return fmt.Sprintf("mount -t tmpfs none %[1]s; status=0; %[2]s || status=$?; umount %[1]s; exit $status", directory, command)
}

// olderUsageCases is for a kernel without fprobe.
func olderUsageCases() []usageCase {
	return []usageCase{
		{
			name: "no-kprobe-multi", command: "skbpath --web.listen-address=127.0.0.1:0 --probe.backend=kprobe-multi",
			status: "1", errorLine: `no kprobe-multi .*CONFIG_FPROBE`,
		},
		{
			name: "ended-while-attaching", status: "0", output: `^left 0\n$`,
			// What a link leads to is not removed at the end.
			command: "ln -s attached-once /run/attached; " + ended("skbpath --print=none --web.listen-address=127.0.0.1:0 --log.level=error --ready-file=/run/attached",
				"test $(wc -l </sys/kernel/tracing/enabled_functions) -gt 100"),
		},
		{
			name: "check-ended-while-loading", status: "1", errorLine: "stopped before all was attached", output: `^left 0\n$`,
			command: ended("skbpath --check", "ls -l /proc/$!/fd | grep -q bpf-map"),
		},
	}
}

// overVsock asks the guest's own vsock port.
const overVsock = `skbpath --print=none --log.level=error --web.listen-address=vsock://:10199 &
await 120 socat -u OPEN:/dev/null VSOCK-CONNECT:1:10199
printf "GET /-/healthy HTTP/1.0\r\n\r\n" | socat -t 5 - VSOCK-CONNECT:1:10199
kill $!
wait $!`

// ended asks a command to end once a condition holds, and says how many functions
// are left attached.
func ended(command, condition string) string {
	return command + ` &
await 120 sh -c "` + strings.ReplaceAll(condition, "$(", `\$(`) + `"
kill $!
status=0
wait $! || status=$?
test ! -e /run/attached || echo all were attached
` + awaitDetached + `
echo left $(wc -l </sys/kernel/tracing/enabled_functions)
exit $status`
}

// awaitDetached waits for the kernel's threads, to which detaching is left.
const awaitDetached = `await 60 sh -c "test \$(wc -l </sys/kernel/tracing/enabled_functions) -eq 0" || :`

// endedAtOnce says how long a command took to end that had attached to everything.
const endedAtOnce = `skbpath --print=none --web.listen-address=127.0.0.1:0 --log.level=error --ready-file=/run/at-once &
await 120 test -e /run/at-once
read before rest </proc/uptime
kill $!
wait $!
read after rest </proc/uptime
echo $after $before | awk "{ print \"took\", int(\$1 - \$2), \"s\" }"
` + awaitDetached + `
echo left $(wc -l </sys/kernel/tracing/enabled_functions)`

// usagePart runs each command by itself.
func usagePart(cases []usageCase) part {
	return part{
		name: "usage",
		build: func(*testing.T, *kernel) vm.Scenario {
			return vm.Scenario{Name: "usage", Script: usageScript(cases), Timeout: partTimeout}
		},
		check: func(t *testing.T, _ *kernel, r vm.ScenarioResult) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { c.check(t, r.Dir) })
			}
			if got := readText(t, filepath.Join(r.Dir, "enabled")); got != "" {
				t.Errorf("functions left attached:\n%s", got)
			}
		},
	}
}

func usageScript(cases []usageCase) string {
	var b strings.Builder
	for _, c := range cases {
		command := strings.ReplaceAll(c.command, "'", `'\''`)
		fmt.Fprintf(&b, "status=0; timeout 150 sh -uc '%[1]s' >\"$OUT/%[2]s.out\" 2>\"$OUT/%[2]s.err\" || status=$?; echo $status >\"$OUT/%[2]s.exit\"\n",
			command, c.name)
	}
	b.WriteString(awaitDetached + "\n")
	b.WriteString("cat /sys/kernel/tracing/enabled_functions >\"$OUT/enabled\"\n")
	return b.String()
}

func (c *usageCase) check(t *testing.T, dir string) {
	text := func(suffix string) string { return readText(t, filepath.Join(dir, c.name+suffix)) }
	stderr, stdout := text(".err"), text(".out")
	if got := strings.TrimSpace(text(".exit")); got != c.status {
		t.Errorf("exit status %s, want %s", got, c.status)
	}
	if c.errorLine == "" && stderr != "" {
		t.Error("standard error is not empty")
	}
	if c.errorLine != "" && !regexp.MustCompile(`^skbpath: [^\n]*(`+c.errorLine+`)[^\n]*\n$`).MatchString(stderr) {
		t.Errorf("standard error is not one line that says %s", c.errorLine)
	}
	if !regexp.MustCompile(c.output).MatchString(stdout) {
		t.Errorf("standard output is not like %s", c.output)
	}
	if t.Failed() {
		t.Logf("%s\nstandard error:\n%sstandard output:\n%s", c.command, stderr, stdout)
	}
}
