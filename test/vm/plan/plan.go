// SPDX-License-Identifier: Apache-2.0

// Package plan is what the host and the guest of a test VM agree on: the plan
// that the host puts into the initramfs, and the names in the archive that the
// guest sends back.
package plan

import "time"

const (
	// Path is where the guest finds its plan.
	Path = "/etc/plan.json"
	// Port is the name of the virtio-serial port that carries the results, a
	// tar stream.
	Port = "skbpath.results"
	// Out is the directory whose subdirectory per scenario is sent back.
	Out = "/out"

	// Ready is what the guest prints on the console when it runs the first scenario.
	Ready = "vm: ready"
	// Fatal starts the line in which the guest says why it gave up.
	Fatal = "vm: fatal: "

	// FilesPrefix starts the name of a scenario's file in the archive; the
	// scenario's name follows.
	FilesPrefix = "files/"
	// StdoutPrefix is the same for what it printed.
	StdoutPrefix = "stdout/"
	// StatusPrefix is the same for how it ended.
	StatusPrefix = "status/"
	// Done is the last entry: without it the guest ended early.
	Done = "done"
)

// Plan is what a guest does.
type Plan struct {
	Modules   []string   // files to load, in this order
	Scenarios []Scenario // to run, in this order
}

// Scenario is one shell script.
type Scenario struct {
	Name    string
	Script  string        // file
	Timeout time.Duration // none if zero
}

// Status is how a scenario ended.
type Status struct {
	ExitCode int
	TimedOut bool
	Duration time.Duration // guest time
}
