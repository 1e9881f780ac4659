// SPDX-License-Identifier: Apache-2.0

package journey

import "testing"

// TestMix: a generator that starts at 0 first yields Mix(0), as the reference
// implementation of SplitMix64 does.
func TestMix(t *testing.T) {
	if got, want := Mix(0), uint64(0xe220a8397b1dcdaf); got != want {
		t.Errorf("Mix(0) = %#x, want %#x", got, want)
	}
}
