// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	webflag "github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/skbpath/skbpath/pkg/export/profile"
	"github.com/skbpath/skbpath/pkg/tracer"
)

// settings is what the command line asks for.
type settings struct {
	tracer        tracer.Config
	print         string // text, json, none; "" for the default
	web           *web.FlagConfig
	telemetryPath string
	log           promslog.Config
	check         bool
	readyFile     string
}

// errAnswered means that the command line asked for a text, which is written.
var errAnswered = errors.New("answered")

const (
	defaultAddress = ":10199"
	description    = "Follows packets through the Linux kernel: journeys as OpenTelemetry traces, drops and latencies as Prometheus metrics. " +
		"The filter is a pcap expression, as tcpdump takes it."
)

// parse reads the command line. Answers to --help and --version go to out.
func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{log: promslog.Config{}}
	app := kingpin.New("skbpath", description)
	app.UsageWriter(out)
	app.ErrorWriter(out)
	answered := false
	app.Terminate(func(int) { answered = true })
	app.Version(version.Print("skbpath")).VersionFlag.NoEnvar()
	app.HelpFlag.Short('h')
	addTracerFlags(app, &s.tracer)
	words := app.Arg("filter", "Which packets to follow, e.g. 'host 10.0.0.2 and icmp'. Default: all.").Strings()
	app.Flag("print", "Journeys to standard output: text, json or none. Default: text if no OTLP endpoint is set, else none.").
		SetValue(&choice{"print", []string{"text", "json", "none"}, &s.print})
	app.Flag("check", "Attach everything, print what would be traced and what cannot be, and exit: with 1 if anything was refused.").
		BoolVar(&s.check)
	app.Flag("ready-file", "Create this file once everything is attached.").PlaceHolder("PATH").StringVar(&s.readyFile)
	s.web = webflag.AddFlags(app, defaultAddress)
	app.Flag("web.telemetry-path", "Path of the metrics.").Default("/metrics").StringVar(&s.telemetryPath)
	promslogflag.AddFlags(app, &s.log)
	_, err := app.Parse(args)
	if answered {
		return nil, errAnswered
	}
	if err != nil {
		return nil, &tracer.UsageError{Err: fmt.Errorf("%w (see skbpath --help)", err)}
	}
	if !strings.HasPrefix(s.telemetryPath, "/") || s.telemetryPath == "/" {
		return nil, &tracer.UsageError{Err: fmt.Errorf("--web.telemetry-path %q: must begin with / and name a page", s.telemetryPath)}
	}
	if slices.Contains([]string{profile.Path, healthyPath, readyPath}, s.telemetryPath) {
		return nil, &tracer.UsageError{Err: fmt.Errorf("--web.telemetry-path %q: is another page's", s.telemetryPath)}
	}
	if s.tracer.MaxHops == 0 || s.tracer.Timeout == 0 { // tracer.Config has its defaults there
		return nil, &tracer.UsageError{Err: errors.New("--journey.max-hops and --journey.timeout must be above zero")}
	}
	s.tracer.Filter = strings.Join(*words, " ")
	return s, nil
}

func addTracerFlags(app *kingpin.Application, c *tracer.Config) {
	app.Flag("probe.source", "Where hops come from: auto, functions, tracepoints or drops.").
		Default("auto").SetValue(&choice{"probe.source", []string{"auto", "functions", "tracepoints", "drops"}, &c.Source})
	app.Flag("probe.backend", "How functions are attached: auto, fentry-multi, fsession-multi, kprobe-multi or kprobe.").
		Default("auto").SetValue(&choice{"probe.backend", []string{"auto", "fentry-multi", "fsession-multi", "kprobe-multi", "kprobe"}, &c.Backend})
	app.Flag("probe.functions", "Attach only functions whose whole name matches this regular expression.").
		PlaceHolder("RE2").StringVar(&c.Functions)
	app.Flag("probe.kmods", "Attach to functions of this kernel module too. Repeatable.").
		PlaceHolder("MODULE").StringsVar(&c.Modules)
	app.Flag("probe.all-kmods", "Attach to functions of all loaded kernel modules too.").BoolVar(&c.AllModules)
	app.Flag("filter.netns", "Only packets in this network namespace: a path, a name below /run/netns, or inode:NUMBER.").
		PlaceHolder("NETNS").StringVar(&c.Netns)
	app.Flag("filter.interface", "Only packets on an interface of this name.").PlaceHolder("NAME").StringVar(&c.Interface)
	app.Flag("filter.mark", "Only packets with this mark.").PlaceHolder("VALUE[/MASK]").StringVar(&c.Mark)
	app.Flag("journey.keep", "Which journeys become traces: all, dropped or slow:DURATION. Repeatable; metrics cover every packet.").
		PlaceHolder("RULE").StringsVar(&c.Keep)
	app.Flag("journey.sample", "Of the journeys that all keeps, keep one in N.").PlaceHolder("1/N").StringVar(&c.Sample)
	app.Flag("journey.rate-limit", "Keep at most so many journeys a second.").PlaceHolder("N/s").StringVar(&c.RateLimit)
	app.Flag("journey.timeout", "A packet not seen for so long has expired.").
		Default(tracer.DefaultTimeout.String()).DurationVar(&c.Timeout)
	app.Flag("journey.max-hops", "Hops recorded of one journey; the rest is counted as lost.").
		Default(fmt.Sprint(tracer.DefaultMaxHops)).IntVar(&c.MaxHops)
}

// choice is the value of a flag that takes one of a few words, and names the
// flag when it gets another.
type choice struct {
	flag   string
	words  []string
	target *string
}

func (c *choice) String() string { return *c.target }

func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("--%s must be one of %s, got '%s'", c.flag, strings.Join(c.words, ","), word)
	}
	*c.target = word
	return nil
}

// oneLine writes an error that may hold others in one line.
func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
