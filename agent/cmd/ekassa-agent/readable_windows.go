package main

// readable does nothing: the folder's own rights are inherited.
func readable(string) error { return nil }
