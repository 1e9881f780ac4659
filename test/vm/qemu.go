// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/skbpath/skbpath/test/vm/plan"
)

// boot runs QEMU until the guest powers off, and collects what it sent.
func boot(ctx context.Context, cfg Config, a *assets, initramfs string) (*Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Timeout, fmt.Errorf("not done after %v", cfg.Timeout))
	defer cancel()
	archive := filepath.Join(a.tmp, "results.tar")
	log := &console{start: time.Now()}
	runErr := runQEMU(ctx, exec.CommandContext(ctx, a.qemu, arguments(cfg, a, initramfs, archive)...), log)
	if cfg.ICount {
		text, err := os.ReadFile(consoleFile(a))
		runErr = errors.Join(runErr, err)
		log.text.Write(text)
	}
	result := &Result{Release: filepath.Base(a.kernel), Console: log.String(), Boot: log.boot}
	result.Warnings = warnings(result.Console)
	collectErr := result.collect(archive, cfg)
	return result, verdict(ctx, result, runErr, collectErr)
}

// verdict picks the error that explains best what went wrong.
func verdict(ctx context.Context, r *Result, runErr, collectErr error) error {
	switch {
	case strings.Contains(r.Console, "Kernel panic - not syncing"):
		return ErrPanic
	case ctx.Err() != nil:
		return fmt.Errorf("the guest was stopped: %w", context.Cause(ctx))
	case runErr != nil:
		return fmt.Errorf("QEMU: %w", runErr)
	case strings.Contains(r.Console, plan.Fatal):
		_, reason, _ := strings.Cut(r.Console, plan.Fatal)
		reason, _, _ = strings.Cut(reason, "\n")
		return fmt.Errorf("the guest gave up: %s", strings.TrimSpace(reason))
	}
	return collectErr
}

// runQEMU waits for the process; it dies with the context or with this thread.
func runQEMU(ctx context.Context, cmd *exec.Cmd, log *console) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = log, &stderr
	err := cmd.Run()
	if err != nil && stderr.Len() > 0 && ctx.Err() == nil {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return err
}

func arguments(cfg Config, a *assets, initramfs, archive string) []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-machine", "q35", "-cpu", cpu(cfg), "-smp", strconv.Itoa(cfg.SMP), "-m", cfg.Memory,
		"-kernel", filepath.Join(a.kernel, "vmlinuz"), "-initrd", initramfs, "-append", commandLine(cfg),
		"-device", "virtio-serial-pci,ioeventfd=off", "-chardev", "file,id=results,path=" + archive,
		"-device", "virtserialport,chardev=results,name=" + plan.Port,
	}
	if cfg.Wire {
		args = append(args, wire()...)
	}
	if cfg.ICount {
		// What QEMU does in its own time, between instructions that the host
		// picks, changes the count: hence a console and a port that are written
		// at once, by the guest's instruction.
		return append(args, "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-seed", "1",
			"-rtc", "base=2026-01-01T00:00:00,clock=vm", "-serial", "file:"+consoleFile(a))
	}
	return append(args, "-accel", "tcg,thread=multi",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
}

// cpu is all that QEMU can emulate; but where instructions are counted, none whose
// copying and clearing of bytes the kernel prefers: QEMU counts one for each byte,
// where a real CPU takes some 32 bytes a cycle. Without, the kernel works by words.
func cpu(cfg Config) string {
	if cfg.ICount {
		return "max,la57=off,erms=off,fsrm=off,fsrs=off"
	}
	return "max,la57=off"
}

// wire is two network devices on one hub. Each packet that comes in has a buffer of
// its own, as the simplest of real devices have it.
func wire() []string {
	var args []string
	for i, end := range []string{"near", "far"} {
		args = append(args, "-netdev", "hubport,hubid=0,id="+end, "-device",
			fmt.Sprintf("virtio-net-pci,netdev=%s,mac=02:00:00:77:00:0%d,romfile=,ioeventfd=off,mrg_rxbuf=off,guest_tso4=off,guest_tso6=off,guest_ufo=off,guest_ecn=off",
				end, i+1))
	}
	return args
}

// consoleFile is where the console of a machine that counts instructions goes.
func consoleFile(a *assets) string { return filepath.Join(a.tmp, "console") }

func commandLine(cfg Config) string {
	words := []string{
		"console=ttyS0", "quiet", "panic=-1", "oops=panic", "nowatchdog", "mitigations=off", "tsc=reliable",
		"rcupdate.rcu_cpu_stall_suppress=1", "net.ifnames=0",
	}
	if cfg.ICount {
		words = append(words, "nokaslr")
	}
	return strings.TrimSpace(strings.Join(append(words, cfg.Append), " "))
}

// console keeps what the guest prints and notes when it is ready.
type console struct {
	start time.Time
	mu    sync.Mutex
	text  bytes.Buffer
	boot  time.Duration
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := max(0, c.text.Len()-len(plan.Ready))
	c.text.Write(p)
	if c.boot == 0 && bytes.Contains(c.text.Bytes()[from:], []byte(plan.Ready)) {
		c.boot = time.Since(c.start)
	}
	return len(p), nil
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.ReplaceAll(c.text.String(), "\r\n", "\n")
}

// warnings are the lines in which the kernel says that something is broken.
func warnings(log string) []string {
	var found []string
	for line := range strings.Lines(log) {
		for _, sign := range []string{"WARNING: CPU:", "WARNING: at ", "BUG: ", "Oops: ", "INFO: task ", "Kernel panic"} {
			if strings.Contains(line, sign) {
				found = append(found, strings.TrimSpace(line))
				break
			}
		}
	}
	return found
}

var errIncomplete = errors.New("the guest ended before it had sent all results")
