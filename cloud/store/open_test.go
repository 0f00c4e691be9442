package store_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ekassa/cloud/store"
	"ekassa/cloud/store/storetest"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	cluster := storetest.MustPostgres(t)
	alter := func(statement string) string { // NAME is the new one's
		url := cluster.Database()
		conn := must(pgx.Connect(t.Context(), url))(t)
		defer conn.Close(t.Context())
		must(conn.Exec(t.Context(), strings.ReplaceAll(statement, "NAME", conn.Config().Database)))(t)
		return url
	}
	newer := t.TempDir()
	ok(t, must(store.Open(t.Context(), "sqlite", newer, clock))(t).Close())
	db := must(sql.Open("sqlite3", filepath.Join(newer, "cloud.db")))(t)
	must(db.Exec(`INSERT INTO migration VALUES (999, 0)`))(t)
	ok(t, db.Close())

	for _, c := range []struct{ database, dir, says string }{
		{"mysql://x:geheim@host/db", "", "neither sqlite nor"},
		{"postgres://x:geheim@host:port/db", "", "cannot be read"},
		{"postgres://x:geheim@127.0.0.1:1/db", "", "connect"},
		{alter(`ALTER DATABASE NAME SET synchronous_commit = off`), "", "synchronous_commit"},
		{"sqlite", newer, "use the newer program"},
	} {
		_, err := store.Open(t.Context(), c.database, c.dir, clock)
		if err == nil {
			t.Fatalf("%s was opened", c.database)
		}
		if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: it says %q, and it should say %q", c.database, err, c.says)
		}
	}
}
