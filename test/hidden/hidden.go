// SPDX-License-Identifier: Apache-2.0

// Package hidden tells whether chance spoiled a test of exact packets: whatever
// the kernel does in an interrupt that comes while a program runs on its CPU goes
// unseen (skbpath_lost_total, cause recursion). A machine under emulation spends
// so long in programs that it happens in many runs, to a whole packet at times.
package hidden

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// Attempts is how often a test that cannot bear a hidden hop may run: chance
// spoils about every other run of the longest one on 7.3.
const Attempts = 10

var lost = regexp.MustCompile(`(?m)^skbpath_lost_total\{cause="recursion",what="hop"\} (\d+)$`)

// Hops sums what files of /metrics say.
func Hops(files ...string) (int, error) {
	sum := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		found := lost.FindSubmatch(text)
		if found == nil {
			return 0, fmt.Errorf("%s does not tell how many hops interrupts hid", file)
		}
		hops, err := strconv.Atoi(string(found[1]))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += hops
	}
	return sum, nil
}
