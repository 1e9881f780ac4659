// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/promslog"

	"github.com/skbpath/skbpath/pkg/tracer"
)

var errRefused = errors.New("the kernel refused to attach to some functions")

// check attaches everything, says what was attached and what was not, and
// detaches. Functions that cannot be attached by their nature are listed, but
// only what the kernel refused is a failure.
func check(ctx context.Context, s *settings, out io.Writer) (err error) {
	t, err := openTracer(ctx, s, promslog.NewNopLogger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	r := t.Report()
	with := string(r.Source)
	if r.Backend != "" {
		with += " by " + string(r.Backend)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "source    %s\nattached  %d\nrefused   %d\nskipped   %d\n", with, r.Attached, len(r.Refused), len(r.Skipped))
	listMisses(&b, "refused by the kernel", r.Refused)
	listMisses(&b, "skipped", r.Skipped)
	if _, err := b.WriteTo(out); err != nil {
		return err
	}
	if len(r.Refused) > 0 {
		return errRefused
	}
	return nil
}

// listMisses writes the names under the reason that they share, and how many do.
func listMisses(out io.Writer, title string, misses []tracer.Miss) {
	names := make(map[string][]string)
	for _, miss := range misses {
		names[miss.Reason] = append(names[miss.Reason], miss.Name)
	}
	for _, reason := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(out, "\n%s, %d: %s\n", title, len(names[reason]), strings.ReplaceAll(reason, "\n", " "))
		for _, name := range names[reason] {
			fmt.Fprintf(out, "  %s\n", name)
		}
	}
}
