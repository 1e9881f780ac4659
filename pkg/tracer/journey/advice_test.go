// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// reasonsOfKernels are those of 6.12, 6.18 and 7.3, from their BTF; of
// openvswitch, from net/openvswitch/drop.h.
func reasonsOfKernels(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/drop_reasons.txt")
	if err != nil {
		t.Fatal(err)
	}
	reasons := make(map[string]bool)
	for _, name := range strings.Fields(string(text)) {
		reasons[name] = true
	}
	return reasons
}

// casesOf returns all strings that the switches of a file compare with.
func casesOf(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	ast.Inspect(file, func(n ast.Node) bool {
		clause, ok := n.(*ast.CaseClause)
		if !ok {
			return true
		}
		for _, e := range clause.List {
			word, err := strconv.Unquote(e.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, word)
		}
		return true
	})
	return words
}

func subsystemOf(reason string) string {
	if strings.HasPrefix(reason, "OVS_") {
		return "openvswitch"
	}
	return "core"
}

// TestAdviceIsOnReasonsThatExist finds typing errors, which would never match.
func TestAdviceIsOnReasonsThatExist(t *testing.T) {
	known, advised := reasonsOfKernels(t), 0
	for _, word := range casesOf(t, "advice.go") {
		if word == strings.ToLower(word) { // a subsystem or a function
			continue
		}
		advised++
		if !known[word] {
			t.Errorf("no kernel has the reason %s", word)
		}
		if d := (&Drop{Reason: word, Subsystem: subsystemOf(word)}); d.Advice() == "" {
			t.Errorf("no advice on %s", word)
		}
	}
	if advised < 100 {
		t.Errorf("only %d reasons have advice", advised)
	}
}

// TestAdviceIsOneLine: short, in plain words, one sentence.
func TestAdviceIsOneLine(t *testing.T) {
	for reason := range reasonsOfKernels(t) {
		text := (&Drop{Reason: reason, Subsystem: subsystemOf(reason)}).Advice()
		if text == "" {
			continue
		}
		if utf8.RuneCountInString(text) > 150 || !strings.HasSuffix(text, ".") || strings.Contains(text, ". ") || strings.Contains(text, "\n") {
			t.Errorf("%s: %d characters: %q", reason, utf8.RuneCountInString(text), text)
		}
	}
}

// TestAdviceOnPing: the reply to ping as root is dropped after ping got a copy.
func TestAdviceOnPing(t *testing.T) {
	for function, want := range map[string]string{"ping_rcv": "harmless", "icmp_rcv": "harmless", "udp_unicast_rcv_skb": "Nobody listens"} {
		d := Drop{Reason: "NO_SOCKET", Subsystem: "core", Function: function}
		if got := d.Advice(); !strings.Contains(got, want) {
			t.Errorf("in %s: %q", function, got)
		}
	}
}

func TestNoAdvice(t *testing.T) {
	for _, d := range []Drop{
		{Reason: "NOT_SPECIFIED", Subsystem: "core"}, {Subsystem: "core"}, {Reason: "0x99", Subsystem: "core"},
		{Reason: "NO_SOCKET", Subsystem: "mac80211_unusable"}, {Reason: "NO_SOCKET", Subsystem: "openvswitch"},
	} {
		if got := d.Advice(); got != "" {
			t.Errorf("%+v: %q", d, got)
		}
	}
}
