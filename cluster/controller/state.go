package controller

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/parade-go/parade/cluster/internal/access"
)

// state is what a cluster remembers of its last start.
type state struct {
	Name    string    `json:"name"`
	Address string    `json:"address,omitempty"` // none of a site's own NATS
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`

	folder string
}

const stateFile = "controller.json"

func loadState(folder string) (*state, error) {
	s := &state{folder: folder}
	data, err := os.ReadFile(filepath.Join(folder, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; delete it to have the cluster listen at another port", filepath.Join(folder, stateFile), err)
	}
	return s, nil
}

func (s *state) save(folder string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return replace(filepath.Join(folder, stateFile), append(data, '\n'))
}

// replace writes a file whole or not at all.
func replace(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// keys returns the keys of the roles: those that the connection files have, or new ones.
func (s *state) keys() (map[string]key, error) {
	keys := map[string]key{}
	for _, role := range access.Roles {
		var k key
		conn, err := access.Load(access.File(s.folder, role))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			k, err = newKey()
		case err == nil && conn.Site():
			err = fmt.Errorf("%s is of a site's own NATS; remove the cluster to have one with a server of its own", access.File(s.folder, role))
		case err == nil:
			var pair nkeys.KeyPair
			if pair, err = nkeys.FromSeed([]byte(conn.Key)); err == nil {
				k, err = keyOf(pair)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("the key of the role %s: %w", role, err)
		}
		keys[role] = k
	}
	return keys, nil
}

// authority signs the certificates of one cluster.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

// years is how long certificates hold.
const years = 10

// loadAuthority reads the authority of a cluster, or makes it.
func loadAuthority(folder, name string) (*authority, error) {
	path := filepath.Join(folder, "authority.pem")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if data, err = newAuthority(name); err == nil {
			err = replace(path, data)
		}
	}
	if err != nil {
		return nil, err
	}
	a := &authority{}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			a.certificate, err = x509.ParseCertificate(block.Bytes)
			a.pem = string(pem.EncodeToMemory(block))
		case "EC PRIVATE KEY":
			a.key, err = x509.ParseECPrivateKey(block.Bytes)
		}
		if err != nil {
			break
		}
	}
	if err != nil || a.certificate == nil || a.key == nil {
		return nil, fmt.Errorf("%s does not have a certificate and its key: %w", path, errors.Join(err, errors.New("restore it, or delete the cluster's folder")))
	}
	return a, nil
}

func newAuthority(name string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := certificate("Parade cluster " + name)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	template.MaxPathLenZero = true
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(data, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})...), nil
}

func certificate(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	// Clocks of nodes differ.
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().AddDate(years, 0, 0),
	}, nil
}

// issue makes a certificate for a server that has these names.
func (a *authority) issue(hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template, err := certificate(a.certificate.Subject.CommonName + " server")
	if err != nil {
		return tls.Certificate{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
