// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
)

// identity is a certificate that vouches for itself, and its files.
type identity struct {
	certificate       tls.Certificate
	certFile, keyFile string
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id := identity{certFile: filepath.Join(t.TempDir(), "cert.pem"), keyFile: filepath.Join(t.TempDir(), "key.pem")}
	writePEM(t, id.certFile, "CERTIFICATE", der)
	writePEM(t, id.keyFile, "PRIVATE KEY", keyDER)
	if id.certificate, err = tls.LoadX509KeyPair(id.certFile, id.keyFile); err != nil {
		t.Fatal(err)
	}
	return id
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (id identity) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(id.certificate.Leaf)
	return pool
}

// TestEncrypted: both ends show certificates, all set by the standard variables.
func TestEncrypted(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		server, client := newIdentity(t), newIdentity(t)
		r := newReceiver(accept)
		r.tls = &tls.Config{
			Certificates: []tls.Certificate{server.certificate},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: client.pool(),
		}
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", tracesEndpoint("https", protocol, l))
		t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", server.certFile)
		t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", client.certFile)
		t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", client.keyFile)
		s, log := connect(t, protocol, l.Addr().String(), impatient)
		exportOne(t, s)
		if got := len(spansOf(<-r.requests)); got != spanCount(exporttest.Ping()) {
			t.Errorf("%d spans arrived:\n%s", got, log)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestEncryptedByAStranger: nothing is handed to a server that cannot prove who
// it is, and what is lost is counted.
func TestEncryptedByAStranger(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := newReceiver(accept)
		r.tls = &tls.Config{Certificates: []tls.Certificate{newIdentity(t).certificate}}
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", tracesEndpoint("https", protocol, l))
		t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", newIdentity(t).certFile)
		s, log := connect(t, protocol, l.Addr().String(), func(s *settings) {
			impatient(s)
			s.exportTimeout, s.retryFor = time.Second, 0
		})
		tried := make(chan struct{}, 10000)
		s.client = &observed{Client: s.client, done: tried}
		exportOne(t, s)
		<-tried
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := loss(s, "otlp_export_failed"); got != 1 || len(r.requests) != 0 {
			t.Errorf("%d journeys lost, %d requests taken", got, len(r.requests))
		}
		if !strings.Contains(log.String(), "certificate") {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
}

func tracesEndpoint(scheme, protocol string, l net.Listener) string {
	if protocol == "grpc" {
		return scheme + "://" + l.Addr().String()
	}
	return scheme + "://" + l.Addr().String() + "/v1/traces"
}

func exportOne(t *testing.T, s *Sink) {
	t.Helper()
	if err := s.Export(t.Context(), exporttest.Ping()); err != nil {
		t.Fatal(err)
	}
}

func TestHeadersAndCompression(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		for _, compression := range []string{"gzip", "none"} {
			r := newReceiver(accept)
			l := listen(t, "127.0.0.1:0")
			r.serve(t, l, protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=a%20secret,x-other=1")
			t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
			s, _ := connect(t, protocol, l.Addr().String(), nil)
			exportOne(t, s)
			if got := len(spansOf(<-r.requests)); got != spanCount(exporttest.Ping()) {
				t.Errorf("%d spans arrived", got)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := arrival{"a secret", strings.TrimPrefix(compression, "none")}
			if got := <-r.arrivals; got != want {
				t.Errorf("%s: the request came with %+v, want %+v", compression, got, want)
			}
		}
	})
}

// TestTimeout: a request that gets no answer in OTEL_EXPORTER_OTLP_TIMEOUT is
// sent again.
func TestTimeout(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		stuck := make(chan struct{})
		r := newReceiver(func(n int) reply {
			if n == 1 {
				<-stuck
				return reply{code: codes.Canceled}
			}
			return reply{}
		})
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		t.Cleanup(func() { close(stuck) })
		t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
		s, _ := connect(t, protocol, l.Addr().String(), impatient)
		exportOne(t, s)
		<-r.requests
		if n := len(r.calls); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := loss(s, "otlp_export_failed"); got != 0 {
			t.Errorf("%d journeys lost", got)
		}
	})
}

// TestOverloadedBackend: one that asks for patience gets it.
func TestOverloadedBackend(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := newReceiver(func(n int) reply {
			if n == 1 {
				return reply{code: codes.ResourceExhausted, message: "slow down"}
			}
			return reply{}
		})
		l := listen(t, "127.0.0.1:0")
		r.serve(t, l, protocol)
		s, _ := connect(t, protocol, l.Addr().String(), impatient)
		exportOne(t, s)
		<-r.requests
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := loss(s, "otlp_export_failed"); got != 0 || len(r.calls) != 2 {
			t.Errorf("%d journeys lost in %d calls", got, len(r.calls))
		}
	})
}
