package update

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ekassa/cloud/wire"
)

// Keys are the public keys whose signatures are trusted: the one that signs now
// and the one that will sign next. Either suffices.
type Keys []ed25519.PublicKey

// ParseKeys reads keys as a build has them: base64, with a comma between. An empty
// text is no key, and nothing is trusted.
func ParseKeys(text string) (keys Keys, err error) {
	if text == "" {
		return nil, nil
	}
	for _, one := range strings.Split(text, ",") {
		key, err := base64.StdEncoding.DecodeString(one)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, errors.New("read the update keys of this build: one is not an Ed25519 public key in base64")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// String gives keys as ParseKeys reads them.
func (k Keys) String() string {
	var list []string
	for _, key := range k {
		list = append(list, base64.StdEncoding.EncodeToString(key))
	}
	return strings.Join(list, ",")
}

// KeyID names a key by the beginning of its hash.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// Signature is one of wire.SignaturesFile, which has a JSON list of them. It is
// plain Ed25519 over the bytes of the manifest.
type Signature struct {
	Key   string `json:"key"` // its KeyID
	Bytes []byte `json:"signature"`
}

// ErrNotSigned: no key that this program trusts has signed the release.
var ErrNotSigned = errors.New("no key that this program trusts has signed it")

// Sign makes a signatures file.
func Sign(manifest []byte, keys ...ed25519.PrivateKey) ([]byte, error) {
	var list []Signature
	for _, k := range keys {
		list = append(list, Signature{KeyID(k.Public().(ed25519.PublicKey)), ed25519.Sign(k, manifest)})
	}
	return json.Marshal(list)
}

// Verify names the keys that have signed the very bytes of a manifest. Nothing of
// the manifest is read before.
func (k Keys) Verify(manifest, signatures []byte) (by []string, err error) {
	if len(k) == 0 {
		return nil, errors.New("this build trusts no update keys; install the next version as a package")
	}
	var list []Signature
	if len(signatures) > wire.MaxSignatures {
		return nil, fmt.Errorf("read the signatures: there are more than %d bytes", wire.MaxSignatures)
	}
	if err := json.Unmarshal(signatures, &list); err != nil {
		return nil, fmt.Errorf("read the signatures: %w", err)
	}
	for _, key := range k {
		for _, s := range list {
			if s.Key == KeyID(key) && ed25519.Verify(key, manifest, s.Bytes) {
				by = append(by, s.Key)
				break
			}
		}
	}
	if len(by) == 0 {
		return nil, ErrNotSigned
	}
	return by, nil
}
