// SPDX-License-Identifier: Apache-2.0

// Package term writes journeys for people and for programs: as a tree of text,
// or as one JSON object per line.
package term

import (
	"bufio"
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// bufferSize holds most journeys, so that one is one write.
const bufferSize = 32 << 10

// Sink writes each journey at once, in one form.
type Sink struct {
	out   *bufio.Writer
	write func(*journey.Journey) error
}

var _ export.Sink = (*Sink)(nil)

// Name returns "print", after the flag that chooses this sink.
func (s *Sink) Name() string { return "print" }

// Export writes j. An error, such as that of a closed pipe, is final: it comes
// back for every further journey.
func (s *Sink) Export(_ context.Context, j *journey.Journey) error {
	if err := s.write(j); err != nil {
		return err
	}
	return s.out.Flush()
}

// Close writes what is left. The writer stays open, it is the caller's.
func (s *Sink) Close(context.Context) error { return s.out.Flush() }

// Colour says whether text written to f should be coloured: f is a terminal,
// not a dumb one, and NO_COLOR (no-color.org) is unset or empty.
func Colour(f *os.File, getenv func(string) string) bool {
	if getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// NewText returns a sink that draws each journey as a tree, with colours or
// without.
func NewText(w io.Writer, colour bool) *Sink {
	out := bufio.NewWriterSize(w, bufferSize)
	t := &text{out: out, paint: paint(colour)}
	return &Sink{out: out, write: t.journey}
}

// NewJSON returns a sink that writes each journey as a JSON object on a line of
// its own.
func NewJSON(w io.Writer) *Sink {
	out := bufio.NewWriterSize(w, bufferSize)
	return &Sink{out: out, write: newLineEncoder(out).journey}
}
