// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"golang.org/x/net/http/httpguts"
)

const (
	exporterVariable = "OTEL_TRACES_EXPORTER"
	resourceVariable = "OTEL_RESOURCE_ATTRIBUTES"
)

// The protocols, as OTEL_EXPORTER_OTLP_PROTOCOL names them.
const (
	overGRPC = "grpc"
	overHTTP = "http/protobuf"
)

// variables reads OTEL_EXPORTER_OTLP_*, of which each has a form for traces
// alone. The clients read them by themselves, but go on without what they cannot
// make sense of: without encryption by the user's own authority, say.
type variables func(string) string

// forms are the names of a variable, that which counts first.
func forms(variable string) []string {
	return []string{"OTEL_EXPORTER_OTLP_TRACES_" + variable, "OTEL_EXPORTER_OTLP_" + variable}
}

// given yields the forms of a variable that are set, and what to. Space around it
// does not count, as for the clients.
func (getenv variables) given(variable string) iter.Seq2[string, string] {
	return func(yield func(name, text string) bool) {
		for _, name := range forms(variable) {
			if text := strings.TrimSpace(getenv(name)); text != "" && !yield(name, text) {
				return
			}
		}
	}
}

// protocol is the one to speak, and the variable that says so, if one does.
func (getenv variables) protocol() (protocol, name string) {
	for name, text := range getenv.given("PROTOCOL") {
		return text, name
	}
	return overHTTP, ""
}

// endpoint says where traces go and how, for people: without a password in it.
func (getenv variables) endpoint() string {
	protocol, _ := getenv.protocol()
	for _, text := range getenv.given("ENDPOINT") {
		if u, err := url.Parse(text); err == nil {
			return u.Redacted() + " by " + protocol
		}
	}
	return "localhost by " + protocol
}

// client returns the client that speaks the protocol, which has been checked.
func (getenv variables) client() otlptrace.Client {
	if protocol, _ := getenv.protocol(); protocol == overGRPC {
		return otlptracegrpc.NewClient()
	}
	return otlptracehttp.NewClient()
}

// check refuses what the clients would silently leave out.
func (getenv variables) check() error {
	return errors.Join(getenv.checkExporter(), getenv.checkProtocol(),
		getenv.checkEndpoints(), getenv.checkCompression(), getenv.checkCertificates(),
		getenv.checkTimeouts(), getenv.checkHeaders(), getenv.checkResource())
}

func (getenv variables) checkExporter() error {
	switch exporter := getenv(exporterVariable); exporter {
	case "", "otlp", "none":
		return nil
	case "console":
		return fmt.Errorf("%s=console: there is no such exporter here, --print=text and --print=json write journeys to standard output", exporterVariable)
	default:
		return fmt.Errorf("%s=%q is neither otlp nor none", exporterVariable, exporter)
	}
}

func (getenv variables) checkProtocol() error {
	switch protocol, name := getenv.protocol(); protocol {
	case overGRPC, overHTTP:
		return nil
	default:
		return fmt.Errorf("%s=%q is neither %s nor %s", name, protocol, overGRPC, overHTTP)
	}
}

// checkEndpoints refuses endpoints that a client would silently replace or
// never reach: it ignores what does not parse, and takes "collector:4318" for a
// URL with the scheme "collector".
func (getenv variables) checkEndpoints() error {
	protocol, _ := getenv.protocol()
	for name, text := range getenv.given("ENDPOINT") {
		u, err := url.Parse(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		web := (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
		if protocol != overGRPC && !web {
			return fmt.Errorf("%s=%q is not a URL such as http://localhost:4318", name, text)
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return fmt.Errorf("%s=%q: there is no port %s", name, text, port)
			}
		}
	}
	return nil
}

func (getenv variables) checkCompression() error {
	for name, text := range getenv.given("COMPRESSION") {
		if text != "none" && text != "gzip" {
			return fmt.Errorf("%s=%q is neither gzip nor none", name, text)
		}
	}
	return nil
}

func (getenv variables) checkCertificates() error {
	for name, path := range getenv.given("CERTIFICATE") {
		pem, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: %s holds no certificate in PEM", name, path)
		}
	}
	keys := forms("CLIENT_KEY")
	for i, name := range forms("CLIENT_CERTIFICATE") {
		certificate, key := getenv(name), getenv(keys[i])
		switch {
		case certificate == "" && key == "":
		case certificate == "" || key == "":
			return fmt.Errorf("%s and %s go together, one of them is not set", name, keys[i])
		default:
			if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
				return fmt.Errorf("%s, %s: %w", name, keys[i], err)
			}
		}
	}
	return nil
}

func (getenv variables) checkTimeouts() error {
	for name, text := range getenv.given("TIMEOUT") {
		if _, err := strconv.Atoi(text); err != nil {
			return fmt.Errorf("%s=%q is not a whole number of milliseconds", name, text)
		}
	}
	return nil
}

// checkHeaders does not repeat what the variable says: it may be a secret.
func (getenv variables) checkHeaders() error {
	for name, text := range getenv.given("HEADERS") {
		for i, pair := range pairs(text) {
			header, value, ok := strings.Cut(pair, "=")
			if !ok || !httpguts.ValidHeaderFieldName(strings.TrimSpace(header)) {
				return fmt.Errorf("%s: number %d of its list is not HEADER=VALUE", name, i)
			}
			if _, err := url.PathUnescape(value); err != nil {
				return fmt.Errorf("%s: the value of number %d of its list is not percent-encoded", name, i)
			}
		}
	}
	return nil
}

// checkResource leaves values alone: what is not percent-encoded is taken as it is.
func (getenv variables) checkResource() error {
	for _, pair := range pairs(getenv(resourceVariable)) {
		if key, _, ok := strings.Cut(pair, "="); !ok || strings.TrimSpace(key) == "" {
			return fmt.Errorf("%s: %q is not KEY=VALUE", resourceVariable, pair)
		}
	}
	return nil
}

// pairs yields what is between commas, with its number from 1 on. Nothing between
// two of them loses nothing.
func pairs(list string) iter.Seq2[int, string] {
	return func(yield func(number int, pair string) bool) {
		for i, pair := range strings.Split(list, ",") {
			if strings.TrimSpace(pair) != "" && !yield(i+1, pair) {
				return
			}
		}
	}
}
