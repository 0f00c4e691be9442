package till

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTheCatalogueHasTheStatusOfEachProblem holds what makers of tills read about
// errors. That each code stands there is tested beside it.
func TestTheCatalogueHasTheStatusOfEachProblem(t *testing.T) {
	page, err := os.ReadFile("../manual/ERRORS.md")
	if err != nil {
		t.Fatal(err)
	}
	for code, status := range problemStatus {
		if row := fmt.Sprintf("\n| `%s` | %d | ", code, status); !strings.Contains(string(page), row) {
			t.Errorf("ERRORS.md has no row that begins %q", strings.TrimSpace(row))
		}
	}
}
