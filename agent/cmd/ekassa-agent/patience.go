//go:build !crashpoints

package main

import "ekassa/agent"

// patience is that of a restaurant.
func patience() agent.Options { return agent.Options{} }
