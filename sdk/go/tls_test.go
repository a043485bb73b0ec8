package vectron_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	vectron "github.com/vectron-db/vectron/sdk/go"
)

// certificate names a file of tests/sdk/make_certificates.sh.
func certificate(t *testing.T, name string) string {
	t.Helper()
	folder := os.Getenv("VECTRON_CERTIFICATES")
	if client == nil || folder == "" {
		t.Skip("NOT TESTED: VECTRON_BINARY or VECTRON_CERTIFICATES is not set; tests/sdk/run.sh go sets them")
	}
	return filepath.Join(folder, name)
}

func trusting(t *testing.T, authority string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(certificate(t, authority))
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func showing(t *testing.T, name string) *tls.Config {
	t.Helper()
	config := trusting(t, "ca.pem")
	pair, err := tls.LoadX509KeyPair(certificate(t, name+".pem"), certificate(t, name+".key"))
	must(t, err)
	config.Certificates = []tls.Certificate{pair}
	return config
}

func startTLS(t *testing.T, flags ...string) *process {
	t.Helper()
	flags = append(flags, "--tls-cert", certificate(t, "server.pem"), "--tls-key", certificate(t, "server.key"))
	own, err := startServer(filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "off", flags...)
	must(t, err)
	t.Cleanup(func() { own.stop(syscall.SIGTERM) })
	return own
}

func connect(t *testing.T, own *process, opts ...vectron.Option) *vectron.Client {
	t.Helper()
	made, err := vectron.New(own.GRPC, append(opts, vectron.WithTimeout(time.Minute), vectron.WithHTTPURL("https://"+own.HTTP))...)
	must(t, err)
	t.Cleanup(func() { made.Close() })
	return made
}

func works(t *testing.T, own *process, config *tls.Config) {
	t.Helper()
	made := connect(t, own, vectron.WithTLS(config))
	_, err := made.ListCollections(context.Background())
	must(t, err)
	_, err = made.Admin().Health(context.Background())
	must(t, err)
}

func fails(t *testing.T, own *process, words []string, opts ...vectron.Option) {
	t.Helper()
	_, err := connect(t, own, opts...).ListCollections(context.Background())
	refused(t, err, vectron.ErrUnavailable, append(words, own.GRPC)...)
}

func TestTheRightAuthorityIsTrusted(t *testing.T) {
	works(t, startTLS(t), trusting(t, "ca.pem"))
}

func TestAWrongAuthorityOrNameIsTold(t *testing.T) {
	own := startTLS(t)
	fails(t, own, []string{"TLS with", "RootCAs"}, vectron.WithTLS(trusting(t, "other-ca.pem")))
	fails(t, own, []string{"TLS with", "RootCAs"}, vectron.WithTLS(nil))
	named := trusting(t, "ca.pem")
	named.ServerName = "other.example"
	fails(t, own, []string{"TLS with", "ServerName"}, vectron.WithTLS(named))
	fails(t, own, []string{"WithTLS"})
	fails(t, server, []string{"TLS with", "does this port speak TLS"}, vectron.WithTLS(trusting(t, "ca.pem")))
	_, err := connect(t, own, vectron.WithTLS(trusting(t, "other-ca.pem"))).Admin().Health(context.Background())
	refused(t, err, vectron.ErrUnavailable, "TLS with")
}

func TestAClientShowsTheCertificateThatTheServerWants(t *testing.T) {
	own := startTLS(t, "--tls-client-ca", certificate(t, "ca.pem"))
	works(t, own, showing(t, "client"))
	fails(t, own, []string{"Certificates"}, vectron.WithTLS(trusting(t, "ca.pem")))
	fails(t, own, []string{"Certificates"}, vectron.WithTLS(showing(t, "other-client")))
}
