// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/skbpath/skbpath/pkg/tracer"
)

func TestListMisses(t *testing.T) {
	var out strings.Builder
	listMisses(&out, "skipped", []tracer.Miss{
		{Name: "__nla_put", Reason: "notrace"},
		{Name: "__kfree_skb", Reason: "not there\nyet"},
		{Name: "sk_filter", Reason: "notrace"},
	})
	listMisses(&out, "refused by the kernel", nil)
	const want = "\nskipped, 1: not there yet\n  __kfree_skb\n\nskipped, 2: notrace\n  __nla_put\n  sk_filter\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
