// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// stages reads the Dockerfile as docker build does.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	f, err := os.Open(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	result, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := instructions.Parse(result.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("%d stages, want 2", len(all))
	}
	return all
}

// TestImageIsEmpty but for what the first stage has made.
func TestImageIsEmpty(t *testing.T) {
	last := stages(t)[1]
	if last.BaseName != "scratch" {
		t.Errorf("the image is based on %s", last.BaseName)
	}
	var destinations []string
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			if c.From != stages(t)[0].Name {
				t.Errorf("%v is copied from %q", c.SourcePaths, c.From)
			}
			destinations = append(destinations, c.DestPath)
		case *instructions.EntrypointCommand:
			if !slices.Equal(c.CmdLine, []string{"/skbpath"}) || c.PrependShell {
				t.Errorf("entry point %v", c.CmdLine)
			}
		case *instructions.RunCommand, *instructions.AddCommand:
			t.Errorf("%s in an empty image", c)
		}
	}
	if want := []string{"/etc/ssl/certs/", "/skbpath"}; !slices.Equal(destinations, want) {
		t.Errorf("the image has %v, want %v", destinations, want)
	}
}

// TestGoIsNewEnough: the image that builds has the Go that go.mod asks for.
func TestGoIsNewEnough(t *testing.T) {
	modules, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	base := stages(t)[0].BaseName
	_, release, _ := strings.Cut(base, ":")
	release, _, _ = strings.Cut(release, "-")
	minor := strings.Join(strings.Split(release, ".")[:2], ".")
	if !strings.HasPrefix(base, "golang:") || !strings.Contains(string(modules), "\ngo "+minor+".") {
		t.Errorf("%s is not the Go of go.mod", base)
	}
}
