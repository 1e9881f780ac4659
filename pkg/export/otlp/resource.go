// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"cmp"
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// newResource describes this skbpath: what was built, the host it runs on, and
// whatever OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES add or override. The
// resource is usable even when an error says that a part is missing.
func newResource(ctx context.Context, version string) (*resource.Resource, error) {
	service := []attribute.KeyValue{
		semconv.ServiceName("skbpath"),
		semconv.ServiceVersion(cmp.Or(version, "unknown")),
	}
	described, err := resource.New(ctx,
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithTelemetrySDK(),
		resource.WithService(), // for its service.instance.id
		resource.WithHost(),
		resource.WithOS(),
		resource.WithAttributes(hostAttributes()...),
		resource.WithAttributes(service...),
		resource.WithFromEnv(),
	)
	whole, missing := withoutEmpty(described, service)
	return whole, errors.Join(err, missing)
}

// withoutEmpty puts back what the environment has set to nothing, such as
// OTEL_RESOURCE_ATTRIBUTES=service.name= : backends sort by these.
func withoutEmpty(r *resource.Resource, defaults []attribute.KeyValue) (*resource.Resource, error) {
	var missing []attribute.KeyValue
	for _, kv := range defaults {
		if value, _ := r.Set().Value(kv.Key); value.AsString() == "" {
			missing = append(missing, kv)
		}
	}
	return resource.Merge(r, resource.NewSchemaless(missing...))
}
