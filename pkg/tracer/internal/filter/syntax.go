// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// SyntaxError is why an expression cannot be used as a filter.
type SyntaxError struct {
	Expr   string
	Offset int // of the offending token in Expr, in bytes; -1 if unknown
	Msg    string
}

// Error says in one line what is wrong, and where.
func (e *SyntaxError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("filter %q: %s", e.Expr, e.Msg)
	}
	column := utf8.RuneCountInString(e.Expr[:e.Offset]) + 1
	return fmt.Sprintf("filter %q: %s (column %d)", e.Expr, e.Msg, column)
}

// syntaxErrorText is in libpcap's message for whatever its grammar refuses.
const syntaxErrorText = "syntax error"

// explain makes libpcap's message about expr useful.
func explain(expr, message string) *SyntaxError {
	tokens := tokenize(expr)
	if strings.Contains(message, syntaxErrorText) {
		return explainSyntax(expr, tokens)
	}
	return &SyntaxError{Expr: expr, Offset: locate(expr, message, tokens), Msg: advise(message)}
}

// explainSyntax finds the token libpcap's parser stumbled over, which libpcap does
// not tell. It cuts expr after each token in turn and appends one that the lexer
// refuses with a message of its own. If the parser gets as far as asking for that
// token, everything before it was the start of some valid expression; if it says
// "syntax error" instead, it had stumbled already.
func explainSyntax(expr string, tokens []token) *SyntaxError {
	stumbles := func(prefix string) bool {
		const refusedByLexer = " 0:0:"
		_, err := pcapCompile(prefix + refusedByLexer)
		return err != nil && strings.Contains(err.Error(), syntaxErrorText)
	}
	if stumbles("") { // this libpcap's lexer has no message for it
		return &SyntaxError{Expr: expr, Offset: -1, Msg: syntaxErrorText}
	}
	// Once the parser has stumbled, it has for every longer prefix.
	culprit := sort.Search(len(tokens), func(i int) bool { return stumbles(expr[:tokens[i].end]) })
	if culprit == len(tokens) {
		return &SyntaxError{Expr: expr, Offset: len(expr), Msg: syntaxErrorText + ": the expression ends too early"}
	}
	at := tokens[culprit]
	return &SyntaxError{Expr: expr, Offset: at.start, Msg: fmt.Sprintf("%s at %q", syntaxErrorText, at.text)}
}

var quoted = regexp.MustCompile(`'([^']+)'`)

// locate finds the token that a message other than "syntax error" is about: the
// one it quotes, or else the one whose addition provokes it.
func locate(expr, message string, tokens []token) int {
	if name := quoted.FindStringSubmatch(message); name != nil {
		if i := slices.IndexFunc(tokens, func(t token) bool { return t.text == name[1] }); i >= 0 {
			return tokens[i].start
		}
	}
	for _, t := range tokens {
		if _, err := pcapCompile(expr[:t.end]); err != nil && err.Error() == message {
			return t.start
		}
	}
	return -1
}

// advise adds the way out to messages that have one.
func advise(message string) string {
	switch {
	case strings.Contains(message, "netmask not known"):
		return `"ip broadcast" needs a netmask; use "ip dst host" with the broadcast address`
	case strings.Contains(message, "supported only on PF linktype"):
		return "what pf(4) logs is not in the packet; for an interface use --filter.interface"
	default:
		return message
	}
}

// explainTranslation makes cbpfc's error about expr useful. There is one known way
// to get this far: libpcap keeps the place of a tunnel's inner headers in scratch
// memory, and what follows "or" reads it on a path that has not been through the
// tunnel. Linux refuses that too; libpcap itself would read garbage.
func explainTranslation(expr string, err error) *SyntaxError {
	if strings.Contains(err.Error(), "uninitialized scratch") {
		return refuse(expr, `before "or" makes the other side look for a tunnel too; write it last`, "geneve", "vxlan")
	}
	return &SyntaxError{Expr: expr, Offset: -1, Msg: err.Error()}
}

// refuse says that the first of words in expr cannot be used, and why.
func refuse(expr, why string, words ...string) *SyntaxError {
	for _, t := range tokenize(expr) {
		if slices.Contains(words, t.text) {
			return &SyntaxError{Expr: expr, Offset: t.start, Msg: fmt.Sprintf("%q %s", t.text, why)}
		}
	}
	return &SyntaxError{Expr: expr, Offset: -1, Msg: strings.Join(words, ", ") + " " + why}
}

// token is a piece of an expression that is not to be cut.
type token struct {
	text       string
	start, end int // byte offsets
}

// tokenize splits expr about as libpcap's lexer does. Where the two differ (the
// lexer's notion of an address or a name is more elaborate), only the column in an
// error message is a little off.
func tokenize(expr string) []token {
	var tokens []token
	brackets := 0
	for start := 0; start < len(expr); {
		size := tokenSize(expr[start:], brackets > 0)
		text := expr[start : start+size]
		switch text {
		case " ", "\t", "\r", "\n":
			start += size
			continue
		case "[":
			brackets++
		case "]":
			brackets--
		}
		tokens = append(tokens, token{text: text, start: start, end: start + size})
		start += size
	}
	return tokens
}

var (
	// A name, number or address. Within brackets, as in ip[2:2], a colon stands alone.
	word        = regexp.MustCompile(`^[A-Za-z0-9_.:\\$-]*[A-Za-z0-9_.:\\$]`)
	wordInIndex = regexp.MustCompile(`^[A-Za-z0-9_.\\$](?:[A-Za-z0-9_.\\$-]*[A-Za-z0-9_.\\$])?`)
	operator    = regexp.MustCompile(`^(?:&&|\|\||[<>=!]=|<<|>>)`)
)

// tokenSize returns the length of the token that s begins with.
func tokenSize(s string, inIndex bool) int {
	words := word
	if inIndex {
		words = wordInIndex
	}
	for _, kind := range []*regexp.Regexp{words, operator} {
		if size := len(kind.FindString(s)); size > 0 {
			return size
		}
	}
	_, size := utf8.DecodeRuneInString(s)
	return size
}
