// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"

	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// newResource describes this skbpath: what was built, the host it runs on, and
// whatever OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES add or override. The
// resource is usable even when an error says that a part is missing.
func newResource(ctx context.Context, version string) (*resource.Resource, error) {
	return resource.New(ctx,
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithOS(),
		resource.WithAttributes(
			semconv.ServiceName("skbpath"),
			semconv.ServiceVersion(version),
		),
		resource.WithFromEnv(),
	)
}
