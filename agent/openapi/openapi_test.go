package openapi_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"ekassa/agent/openapi"
)

func read(t *testing.T, name string) *openapi.Doc {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Both of the project's documents are read whole.
func TestRead_OurOwnDocuments(t *testing.T) {
	for _, name := range []string{"../till/openapi.yaml", "../../cloud/api/openapi.yaml"} {
		doc := read(t, name)
		if doc.Title == "" || len(doc.Operations) < 30 || len(doc.Schemas) < 10 {
			t.Errorf("%s: %q, %d operations, %d schemas", name, doc.Title, len(doc.Operations), len(doc.Schemas))
		}
		for _, o := range doc.Operations {
			if o.ID == "" || o.Summary == "" || len(o.Responses) == 0 {
				t.Errorf("%s: %s %s is empty: %+v", name, o.Method, o.Path, o)
			}
			if o.Body != nil {
				for _, e := range o.Body.Examples {
					if !json.Valid([]byte(e.JSON)) {
						t.Errorf("%s: an example of %s is no JSON: %s", name, o.ID, e.JSON)
					}
				}
			}
		}
	}
}

func TestRead_FollowsReferencesAndAnchors(t *testing.T) {
	doc := read(t, "../till/openapi.yaml")
	at := slices.IndexFunc(doc.Operations, func(o openapi.Operation) bool { return o.ID == "withdrawCash" })
	if at < 0 {
		t.Fatal("no withdrawCash")
	}
	o := doc.Operations[at] // its body and its responses are aliases of another's
	if o.Method != "POST" || o.Path != "/v1/cash/withdraw" || o.Tag != "cash" || o.Open || !o.Body.Required || o.Body.Schema.Name != "NewCash" || len(o.Responses) < 10 {
		t.Errorf("%+v", o)
	}
	if len(o.Parameters) != 1 || o.Parameters[0].Name != "Prefer" || o.Parameters[0].In != "header" {
		t.Errorf("%+v", o.Parameters)
	}
	s, ok := doc.Schema("NewReceipt")
	if !ok || !s.Closed || s.Properties[0].Name != "id" || !s.Properties[0].Required || s.Properties[0].Schema.Name != "ID" {
		t.Errorf("%+v", s)
	}
	payments := s.Properties[slices.IndexFunc(s.Properties, func(p openapi.Property) bool { return p.Name == "payments" })].Schema
	if !payments.Nullable || len(payments.OneOf) != 1 || payments.OneOf[0].Name != "Payments" {
		t.Errorf("%+v", payments)
	}
	if s, _ := doc.Schema("State"); len(s.Enum) != 8 || s.Enum[3] != "fiscal" {
		t.Errorf("%+v", s)
	}
	if s, _ := doc.Schema("ID"); s.Pattern != "^[A-Za-z0-9._:-]{1,64}$" {
		t.Errorf("%+v", s)
	}
}

func TestRead_NamesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"a: [": "read the API document: ",
		"paths: {/x: {get: {responses: {'200': {$ref: '#/components/responses/Gone'}}}}}": "nothing stands at #/components/responses/Gone",
	} {
		if _, err := openapi.Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
