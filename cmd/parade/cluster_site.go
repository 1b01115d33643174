package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/parade-go/parade/cluster"
	"github.com/spf13/pflag"
)

// site is what says where a site's own NATS is.
type site struct {
	urls      []string
	creds, ca string // files
	replicas  int
	insecure  bool
}

func (s *site) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&s.urls, "nats", nil, "`URLs` of a NATS of your site's, such as tls://nats1:4222,tls://nats2:4222, in place of a server of the cluster's own")
	flags.StringVar(&s.creds, "nats-creds", "", "`file` with what that NATS knows you by: its .creds file, the seed of a key, or a line user:password")
	flags.StringVar(&s.ca, "nats-ca", "", "`file` with the certificate of the authority that vouches for it (default those of this machine)")
	flags.IntVar(&s.replicas, "replicas", 1, "on how many of its servers everything is kept: 1, 3 or 5")
	flags.BoolVar(&s.insecure, "insecure", false, "allow a NATS on other machines without TLS")
}

// check reports whether there is a site's NATS, or flags that need one.
func (s *site) check() (bool, error) {
	if len(s.urls) == 0 {
		if s.creds != "" || s.ca != "" || s.replicas != 1 || s.insecure {
			return false, usagef("--nats-creds, --nats-ca, --replicas and --insecure are for a NATS of your site's; name it with --nats")
		}
		return false, nil
	}
	if s.replicas != 1 && s.replicas != 3 && s.replicas != 5 {
		return true, usagef("--replicas %d: NATS keeps 1, 3 or 5", s.replicas)
	}
	for _, text := range s.urls {
		if strings.Contains(text, "@") {
			return true, usagef("--nats with a password in it can be read by every user of this machine; put user:password in a file and name it with --nats-creds")
		}
		if u, err := url.Parse(text); err != nil || u.Host == "" {
			return true, usagef("--nats %q is no URL; write for example tls://nats.site:4222", text)
		}
	}
	return true, nil
}

// connection is a client's to the site's NATS, with all that is in the files.
func (s *site) connection(name string) (cluster.Connection, error) {
	conn := cluster.Connection{Cluster: name, Role: cluster.RoleClient, URLs: s.urls, Replicas: s.replicas, Insecure: s.insecure}
	if s.ca != "" {
		data, err := os.ReadFile(s.ca)
		if err != nil {
			return conn, &inputError{err}
		}
		conn.CA = string(data)
	}
	if s.creds == "" {
		return conn, nil
	}
	info, err := os.Stat(s.creds)
	if err != nil {
		return conn, &inputError{err}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return conn, &inputError{fmt.Errorf("%s can be read by others (mode %04o), and has a secret: chmod 600 it", s.creds, info.Mode().Perm())}
	}
	data, err := os.ReadFile(s.creds)
	if err != nil {
		return conn, &inputError{err}
	}
	if conn, err = conn.WithCredentials(string(data)); err != nil {
		return conn, &inputError{fmt.Errorf("%s: %w", s.creds, err)}
	}
	return conn, nil
}

// arguments are those for the controller's process; secrets stay in their files.
func (s *site) arguments() ([]string, error) {
	if len(s.urls) == 0 {
		return nil, nil
	}
	args := []string{"--nats", strings.Join(s.urls, ","), "--replicas", strconv.Itoa(s.replicas)}
	for flag, file := range map[string]string{"--nats-creds": s.creds, "--nats-ca": s.ca} {
		if file == "" {
			continue
		}
		path, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		args = append(args, flag, path)
	}
	if s.insecure {
		args = append(args, "--insecure")
	}
	return args, nil
}

// siteOf is the connection of a cluster of this user whose server is a site's.
func siteOf(folder string) (cluster.Connection, bool) {
	conn, err := cluster.Load(filepath.Join(folder, cluster.RoleClient+".json"))
	return conn, err == nil && conn.Site()
}
