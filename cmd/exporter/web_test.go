// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/pkg/export/profile"
)

// TestURLAnswers: where people are sent is where an answer is, encrypted or not.
func TestURLAnswers(t *testing.T) {
	tls := httptest.NewTLSServer(nil) // for its certificate, and a client that trusts it
	defer tls.Close()
	certificate := writePEM(t, "CERTIFICATE", tls.Certificate().Raw)
	key, err := x509.MarshalPKCS8PrivateKey(tls.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for scheme, config := range map[string]string{
		"https": fmt.Sprintf("tls_server_config: {cert_file: %s, key_file: %s}", certificate, writePEM(t, "PRIVATE KEY", key)),
		"http":  "http_server_config: {headers: {X-Frame-Options: deny}}",
	} {
		file := filepath.Join(t.TempDir(), "web.yml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := parse([]string{"--web.listen-address=127.0.0.1:0", "--web.config.file=" + file}, new(bytes.Buffer))
		if err != nil {
			t.Fatal(err)
		}
		listeners, err := listen(s.web)
		if err != nil {
			t.Fatal(err)
		}
		_, fail := context.WithCancelCause(t.Context())
		w, err := serve(s, listeners, profile.NewSink(), slog.New(slog.DiscardHandler), fail)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := tls.Client().Get(listeners.url(healthyPath))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || answer.Request.URL.Scheme != scheme {
			t.Errorf("%s of %s, want %s", answer.Status, answer.Request.URL, scheme)
		}
		w.close()
	}
}

func writePEM(t *testing.T, kind string, der []byte) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestListenRefuses: the error names the address and what is wrong with it.
func TestListenRefuses(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1":      "missing port",
		"vsock://9100":   "not a port alone",
		"vsock://3:9100": "not a port alone",
		"vsock://:port":  "invalid port",
	} {
		s, err := parse([]string{"--web.listen-address=" + address}, new(bytes.Buffer))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := listen(s.web); err == nil || !strings.Contains(err.Error(), "--web.listen-address "+address+": ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
