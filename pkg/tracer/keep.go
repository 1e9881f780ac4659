// SPDX-License-Identifier: Apache-2.0

package tracer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/internal/probe"
)

// setKeep reads which journeys become traces.
func (c *Config) setKeep(o *probe.Options) error {
	o.KeepAll = len(c.Keep) == 0
	for _, rule := range c.Keep {
		if err := addKeep(o, rule); err != nil {
			return err
		}
	}
	if c.Sample != "" {
		if !o.KeepAll {
			return fmt.Errorf("sample %q: it thins what the rule all keeps, and that is not among the rules", c.Sample)
		}
		n, err := parseSample(c.Sample)
		if err != nil {
			return err
		}
		o.Threshold = threshold(n)
	}
	if c.RateLimit != "" {
		var err error
		o.RateLimit, err = parseRateLimit(c.RateLimit)
		return err
	}
	return nil
}

func addKeep(o *probe.Options, rule string) error {
	text, slow := strings.CutPrefix(rule, "slow:")
	switch {
	case rule == "all":
		o.KeepAll = true
	case rule == "dropped":
		o.KeepDropped = true
	case slow:
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fmt.Errorf("keep %q: %q is not a duration above zero, such as 5ms", rule, text)
		}
		if o.KeepSlow != 0 {
			return errors.New("keep: slow can be given once")
		}
		o.KeepSlow = d
	default:
		return fmt.Errorf("keep %q: must be all, dropped or slow:DURATION", rule)
	}
	return nil
}

// parseSample reads 1/N.
func parseSample(text string) (uint32, error) {
	one, n, _ := strings.Cut(text, "/")
	number, err := strconv.ParseUint(n, 10, 32)
	if one != "1" || err != nil || number == 0 {
		return 0, fmt.Errorf("sample %q: must be 1/N, with N from 1 to %d", text, uint32(1<<32-1))
	}
	return uint32(number), nil
}

// threshold returns the number of 32 bits below which a random one is not kept,
// so that one in n is: 2^32 - 2^32/n, rounded up.
func threshold(n uint32) uint32 {
	const all = 1 << 32
	return uint32(all - all/uint64(n))
}

// parseRateLimit reads N/s.
func parseRateLimit(text string) (uint32, error) {
	number, ok := strings.CutSuffix(text, "/s")
	n, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil || n == 0 {
		return 0, fmt.Errorf("rate limit %q: must be N/s, with N from 1", text)
	}
	return uint32(n), nil
}
