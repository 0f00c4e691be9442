//go:build crashpoints

package crash

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

var clockFile = os.Getenv("EKASSA_CLOCK")

// Now is what a machine's clock says that is wrong by as many seconds as stand
// in the clock file. As on such a machine only the time of day is wrong: what
// lies between two readings is measured by the monotonic clock, also where the
// time of day has jumped between them.
func Now() time.Time {
	if clockFile == "" {
		return time.Now()
	}
	text, err := os.ReadFile(clockFile)
	if err != nil {
		panic(err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		panic(err)
	}
	return wrong(time.Now(), seconds)
}

// wrong shifts the time of day alone, which no function of package time does:
// Add moves the monotonic reading as well. The first word of a time.Time with
// such a reading has the seconds since 1885 above 30 bits of nanoseconds.
func wrong(t time.Time, seconds int64) time.Time {
	is := t
	*(*uint64)(unsafe.Pointer(&is)) += uint64(seconds) << 30
	if is.Unix() != t.Unix()+seconds || is.Sub(t) != 0 {
		panic(fmt.Sprintf("set the clock wrong by %d s: time.Time is not laid out as it was", seconds))
	}
	return is
}
