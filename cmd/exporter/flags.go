// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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
	var answer bytes.Buffer // kingpin panics where it cannot write
	app.UsageWriter(&answer)
	app.ErrorWriter(&answer)
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
		if _, err := answer.WriteTo(out); err != nil {
			return nil, err
		}
		return nil, errAnswered
	}
	if err != nil {
		return nil, &tracer.UsageError{Err: fmt.Errorf("%w (see skbpath --help)", err)}
	}
	if err := checkPath(s.telemetryPath); err != nil {
		return nil, &tracer.UsageError{Err: fmt.Errorf("--web.telemetry-path %q: %w", s.telemetryPath, err)}
	}
	s.tracer.Filter = strings.Join(*words, " ")
	return s, nil
}

// checkPath: http.ServeMux panics where a path is none of its patterns.
func checkPath(name string) error {
	if !regexp.MustCompile(`^(/[\w.~-]+)+$`).MatchString(name) || path.Clean(name) != name {
		return errors.New("must be / and the name of a page, of letters, digits and any of _.~-")
	}
	if slices.Contains([]string{profile.Path, healthyPath, readyPath}, name) {
		return errors.New("is another page's")
	}
	return nil
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
		Default(tracer.DefaultTimeout.String()).SetValue(&positive[time.Duration]{"journey.timeout", "a duration above zero, such as 30s", time.ParseDuration, &c.Timeout})
	app.Flag("journey.max-hops", "Hops recorded of one journey; the rest is counted as lost.").
		Default(fmt.Sprint(tracer.DefaultMaxHops)).SetValue(&positive[int]{"journey.max-hops", "a number above zero", strconv.Atoi, &c.MaxHops})
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

// positive is the value of a flag that takes something above zero, and names the flag when
// it gets something else: zero is the default's in tracer.Config.
type positive[T ~int | ~int64] struct {
	flag   string
	want   string
	parse  func(string) (T, error)
	target *T
}

func (p *positive[T]) String() string { return fmt.Sprint(*p.target) }

func (p *positive[T]) Set(word string) error {
	value, err := p.parse(word)
	if err != nil || value <= 0 {
		return fmt.Errorf("--%s must be %s, got '%s'", p.flag, p.want, word)
	}
	*p.target = value
	return nil
}

// oneLine writes an error that may hold others in one line.
func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
