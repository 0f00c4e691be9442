package azsmart

import (
	"crypto/sha1" //nolint:gosec // the protocol's, section 2
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
)

// Escaping says which characters of the base64 text are percent-encoded in the
// request's body (section 2.2).
type Escaping int

// The escapings.
const (
	EscapeAll    Escaping = iota // "+", "/" and "=": right for every real form decoder
	EscapeEquals                 // "=" alone, as the maker's pages ask
)

// sign gives the signature of the data text, exactly as it is sent before any
// escaping: base64 of the lowercase hex SHA-1 of data and Merchant ID (section 2).
func sign(data, merchantID string) string {
	sum := sha1.Sum([]byte(data + merchantID)) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
}

// form gives the signed body of a request for the JSON text.
func form(body []byte, merchantID string, e Escaping) []byte {
	data := base64.StdEncoding.EncodeToString(body)
	return []byte("data=" + e.escape(data) + "&sign=" + e.escape(sign(data, merchantID)))
}

func (e Escaping) escape(s string) string {
	if e == EscapeEquals {
		return strings.ReplaceAll(s, "=", "%3D")
	}
	return url.QueryEscape(s)
}
