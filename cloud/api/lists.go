package api

import (
	"ekassa/cloud/store"
)

type list[T any] struct {
	Items []T   `json:"items"`
	Next  int64 `json:"next,omitempty"` // "before" of the next page; left out: there is none
}

// page gives the list, and where it goes on if it may.
func page[T any](items []T, limit int, number func(T) int64) list[T] {
	l := list[T]{Items: items}
	if l.Items == nil {
		l.Items = []T{}
	}
	if len(items) == limit {
		l.Next = number(items[len(items)-1])
	}
	return l
}

func all[T any](items []T) list[T] { return page(items, -1, nil) }

// filter reads what lists have in common.
func (q *query) filter() store.Filter {
	v := q.r.URL.Query()
	return store.Filter{
		Agent: v.Get("agent"), Venue: v.Get("venue"), State: v.Get("state"), From: q.moment("from"), To: q.moment("to"),
		Before: q.number("before", 1, 1<<62, 0), Limit: int(q.number("limit", 1, 1000, 100)),
	}
}
