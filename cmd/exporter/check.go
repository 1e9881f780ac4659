// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/common/promslog"

	"github.com/skbpath/skbpath/pkg/tracer"
)

var errRefused = errors.New("the kernel refused to attach to some functions")

// check attaches everything, says what was attached and what was not, and
// detaches. Functions that cannot be attached by their nature are listed, but
// only what the kernel refused is a failure.
func check(s *settings, out io.Writer) (err error) {
	t, err := openTracer(s, promslog.NewNopLogger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	r := t.Report()
	with := string(r.Source)
	if r.Backend != "" {
		with += " by " + string(r.Backend)
	}
	fmt.Fprintf(out, "source    %s\nattached  %d\nrefused   %d\nskipped   %d\n", with, r.Attached, len(r.Refused), len(r.Skipped))
	listMisses(out, "refused by the kernel", r.Refused)
	listMisses(out, "skipped", r.Skipped)
	if len(r.Refused) > 0 {
		return errRefused
	}
	return nil
}

func listMisses(out io.Writer, title string, misses []tracer.Miss) {
	if len(misses) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s:\n", title)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, miss := range misses {
		fmt.Fprintf(table, "  %s\t%s\n", miss.Name, strings.ReplaceAll(miss.Reason, "\n", " "))
	}
	_ = table.Flush()
}
