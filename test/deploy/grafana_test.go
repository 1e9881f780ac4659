// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// TestDashboardsMatchTheSchema reads the dashboards by Grafana's own schema of
// dashboards, panels and queries, which knows no other keys and values.
func TestDashboardsMatchTheSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	files, err := filepath.Glob(filepath.Join(root, "dashboards", "*.json"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%d dashboards, want 3 (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var d dashboard.Dashboard
			// Without any errors in it, the list of errors still is not nil.
			if err := d.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
				t.Error(err)
			}
			if err := d.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}
