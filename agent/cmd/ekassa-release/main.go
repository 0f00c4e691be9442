// Command ekassa-release makes the keys that releases are signed with, and signs
// what scripts/build has built. It runs where releases are made, never in a shop.
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ekassa/agent/journal"
	"ekassa/agent/update"
	"ekassa/cloud/wire"
)

func main() {
	root := &cobra.Command{
		Use: "ekassa-release", Short: "Makes the keys of releases, and signs them",
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(keys(), public(), sign())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "ekassa-release: "+strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

func keys() *cobra.Command {
	return &cobra.Command{
		Use: "keys FILE...", Short: "Make a private key in each file, and print the public ones for scripts/build",
		Example: "  ekassa-release keys ~/ekassa/current.pem /media/safe/next.pem",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var list update.Keys
			for _, file := range files {
				public, private, err := ed25519.GenerateKey(rand.Reader)
				if err != nil {
					return fmt.Errorf("make a key: %w", err)
				}
				der, err := x509.MarshalPKCS8PrivateKey(private)
				if err != nil {
					return fmt.Errorf("write a key: %w", err)
				}
				f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					return fmt.Errorf("write a key: %w; a key is never written over", err)
				}
				err = errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Sync(), f.Close())
				if err != nil {
					return fmt.Errorf("write a key: %w", err)
				}
				list = append(list, public)
			}
			fmt.Fprintln(cmd.OutOrStdout(), list)
			return nil
		},
	}
}

func public() *cobra.Command {
	return &cobra.Command{
		Use: "public FILE...", Short: "Print the public keys of these private ones, for scripts/build",
		Example: "  UPDATE_KEYS=$(ekassa-release public current.pem next.pem) scripts/build",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var list update.Keys
			for _, file := range files {
				k, err := read(file)
				if err != nil {
					return err
				}
				list = append(list, k.Public().(ed25519.PublicKey))
			}
			fmt.Fprintln(cmd.OutOrStdout(), list)
			return nil
		},
	}
}

func read(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read a key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read a key: there is none in %s", file)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := any.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("read a key: that in %s is not Ed25519", file)
	}
	return key, nil
}

func sign() *cobra.Command {
	var from, out, over string
	var files []string
	var days int
	cmd := &cobra.Command{
		Use: "sign --from DIR --key FILE --out DIR", Short: "Make a release of what scripts/build has built, and sign it",
		Long: "Make a release of what scripts/build has built, and sign it. The folder is what agents take: ekassa-cloud release add,\n" +
			"or a USB stick. While keys change over, sign with both.",
		Example: "  ekassa-release sign --from .cache/dist/1.3.0 --key current.pem --over 1.0.0 --out 1.3.0",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var private []ed25519.PrivateKey
			for _, f := range files {
				k, err := read(f)
				if err != nil {
					return err
				}
				private = append(private, k)
			}
			if days < 1 {
				return errors.New("sign: --days must be 1 or more")
			}
			newest, readable := journal.Schema()
			r, err := update.Make(from, out, update.Plan{
				Version: filepath.Base(filepath.Clean(from)), Over: over, Created: time.Now(), Lasts: time.Duration(days) * 24 * time.Hour,
				Journal: wire.ReleaseJournal{Schema: newest, ReadableFrom: readable},
			}, private...)
			if err != nil {
				return fmt.Errorf("sign %s: %w", from, err)
			}
			for _, p := range r.Programs {
				fmt.Fprintf(cmd.OutOrStdout(), "%s %d bytes %s\n", p.Target, p.Size, p.SHA256)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "version %s, over %s and up, until %s: %s\n", r.Version, r.Over, r.Expires.Format(time.DateOnly), out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "what scripts/build has made; the folder's name is the version")
	f.StringArrayVar(&files, "key", nil, "a private key; may be repeated")
	f.StringVar(&out, "out", "", "a new folder for the release")
	f.StringVar(&over, "over", "0.0.0", "the lowest version that it may follow")
	f.IntVar(&days, "days", 180, "after which nobody installs it any more")
	for _, name := range []string{"from", "key", "out"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag stands above
		}
	}
	return cmd
}
