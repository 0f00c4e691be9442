package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
)

const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// fiscalID derives a long document id: base58 of 32 bytes, 43 or 44 characters.
// It depends on the token and the document number alone, so it is unique, and on
// the ledger's salt, so that a simulator started afresh does not hand out the
// ids of an earlier life a second time.
func fiscalID(salt, serial string, number int64) string {
	for try := uint64(0); ; try++ {
		h := sha256.New()
		fmt.Fprintf(h, "%s\x00%s\x00", salt, serial)
		_ = binary.Write(h, binary.BigEndian, number)
		_ = binary.Write(h, binary.BigEndian, try)
		if id := toBase58(h.Sum(nil)); len(id) == 43 || len(id) == 44 {
			return id
		}
	}
}

// shortID is the part that is printed and typed by buyers.
func shortID(fiscalID string) string {
	return fiscalID[:min(12, len(fiscalID))]
}

func toBase58(b []byte) string {
	n, radix, digit := new(big.Int).SetBytes(b), big.NewInt(58), new(big.Int)
	var out []byte
	for n.Sign() > 0 {
		n.DivMod(n, radix, digit)
		out = append(out, base58[digit.Int64()])
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

// mulDiv is a × b ÷ c rounded half up, for a, b ≥ 0 and c > 0, without overflow
// in between.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(c)/2, 0)
	q, _ := bits.Div64(hi+carry, lo, uint64(c))
	return int64(q)
}
