// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"strings"
	"testing"
	"time"

	"github.com/skbpath/skbpath/pkg/export"
)

func environment(pairs ...string) func(string) string {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func TestEnabled(t *testing.T) {
	const endpoint, traces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	for _, c := range []struct {
		env  []string
		want bool
	}{
		{nil, false},
		{[]string{endpoint, "http://c:4318"}, true},
		{[]string{traces, "http://c:4318/v1/traces"}, true},
		{[]string{"OTEL_TRACES_EXPORTER", "otlp"}, true},
		{[]string{"OTEL_TRACES_EXPORTER", "console"}, true},
		{[]string{"OTEL_TRACES_EXPORTER", "none"}, false},
		{[]string{"OTEL_TRACES_EXPORTER", "none", endpoint, "http://c:4318"}, false},
		{[]string{endpoint, "http://c:4318", "OTEL_SDK_DISABLED", "TRUE"}, false},
		{[]string{endpoint, "http://c:4318", "OTEL_SDK_DISABLED", "false"}, true},
		{[]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318"}, false},
	} {
		if got := Enabled(environment(c.env...)); got != c.want {
			t.Errorf("Enabled with %v is %v", c.env, got)
		}
	}
}

func TestSettings(t *testing.T) {
	s, err := settingsFrom(environment())
	if err != nil || s.batchSpans != 2048 || s.delay != time.Second || s.limits() != (export.Limits{Journeys: 4096, Hops: 65536}) {
		t.Errorf("defaults: %+v, %v", s, err)
	}
	s, err = settingsFrom(environment(
		"OTEL_BSP_MAX_QUEUE_SIZE", "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5",
		"OTEL_BSP_SCHEDULE_DELAY", "250", "OTEL_BSP_EXPORT_TIMEOUT", "7000"))
	if err != nil || s.limits() != (export.Limits{Journeys: 4096, Hops: 10}) || s.batchSpans != 5 || s.delay != 250*time.Millisecond || s.exportTimeout != 7*time.Second {
		t.Errorf("set: %+v, %v", s, err)
	}
	s, err = settingsFrom(environment("OTEL_BSP_MAX_QUEUE_SIZE", "1600000"))
	if err != nil || s.limits() != (export.Limits{Journeys: 100_000, Hops: 1_600_000}) {
		t.Errorf("a long queue: %+v, %v", s.limits(), err)
	}
	for _, bad := range []string{"x", "-1", "0", "1.5"} {
		_, err := settingsFrom(environment("OTEL_BSP_MAX_QUEUE_SIZE", bad))
		if err == nil || !strings.Contains(err.Error(), "OTEL_BSP_MAX_QUEUE_SIZE") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestEndpointForPeople(t *testing.T) {
	const endpoint, protocol = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
	for want, env := range map[string][]string{
		"localhost by http/protobuf":               nil,
		"http://c:4318 by http/protobuf":           {endpoint, "http://c:4318"},
		"https://me:xxxxx@c:4317 by grpc":          {endpoint, "https://me:secret@c:4317", protocol, "grpc"},
		"http://t:4318/v1/traces by http/protobuf": {endpoint, "http://c:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:4318/v1/traces"},
	} {
		if got := Endpoint(environment(env...)); got != want {
			t.Errorf("%v: %q, want %q", env, got, want)
		}
	}
}

func TestEnvironmentIsChecked(t *testing.T) {
	const timeout, headers, resource = "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES"
	for _, c := range []struct {
		env  []string
		want string
	}{
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"}, ""},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"}, "is not a URL"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:99999"}, "there is no port 99999"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:0", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, "there is no port 0"},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "://"}, "missing protocol scheme"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, ""},
		{[]string{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}, "neither grpc nor http/protobuf"},
		{[]string{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"}, ""},
		{[]string{"OTEL_TRACES_EXPORTER", "otlp"}, ""},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"}, ""},
		{[]string{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"}, "neither gzip nor none"},
		{[]string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonesuch.pem"}, "OTEL_EXPORTER_OTLP_CERTIFICATE: open /nonesuch.pem"},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "settings_test.go"}, "holds no certificate"},
		{[]string{"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem"}, "go together"},
		{[]string{timeout, "10000"}, ""},
		{[]string{timeout, " 0 "}, ""},
		{[]string{timeout, " "}, ""},
		{[]string{timeout, "-1"}, ""}, // none, as 0
		{[]string{timeout, "10s"}, timeout + `="10s" is not a whole number of milliseconds`},
		{[]string{timeout, "1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "xx"}, `TRACES_TIMEOUT="xx" is not`},
		{[]string{headers, "a"}, headers + ": number 1 of its list is not HEADER=VALUE"},
		{[]string{headers, "a=b,Bearer c=d"}, "number 2 of its list is not"},
		{[]string{headers, "=b"}, "number 1 of its list is not"},
		{[]string{headers, "a=%zz"}, "the value of number 1"},
		{[]string{headers, "Authorization=Basic%20YQ==, x-b=,"}, ""},
		{[]string{resource, "foo"}, `OTEL_RESOURCE_ATTRIBUTES: "foo" is not KEY=VALUE`},
		{[]string{resource, "a=b,=c"}, `"=c" is not KEY=VALUE`},
		{[]string{resource, "a=b, c=,d=%zz,e=f=g,"}, ""},
		{[]string{"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem"}, "/c.pem: no such file"},
	} {
		err := variables(environment(c.env...)).check()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%v: %v", c.env, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v: %v, want %q", c.env, err, c.want)
		}
	}
}
