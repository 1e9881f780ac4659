// SPDX-License-Identifier: Apache-2.0

// Package deploy checks docker-compose.yaml, and what it mounts, with the
// programs' own code. It is a module of its own, so that their dependencies
// never meet the exporter's.
//
//	go test -C test/deploy
package deploy
