// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package jaeger pins the Jaeger that the backend tests run: a module of its
// own, so that its dependencies never meet the exporter's.
package jaeger

import _ "github.com/jaegertracing/jaeger/cmd/jaeger"
