package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/journal"
	"ekassa/agent/update"
	"ekassa/cloud/wire"
)

// updateKeys are the public keys that releases are signed with, stamped by the
// build: see scripts/release. They are in the program and in no file, since the
// service can write what lies beside its journal, and a file in /etc could be
// missing or be forgotten; the package that brings the program brings them. Empty:
// this build takes no updates.
var updateKeys string

// own is what this program knows of itself.
func own() (o update.Own, err error) {
	newest, _ := journal.Schema()
	o = update.Own{Version: wire.StampedVersion(version), Target: target(), Schema: newest}
	o.Keys, err = update.ParseKeys(updateKeys)
	return o, err
}

// target is the machine that this program was built for, as scripts/build names it.
func target() string {
	arch := runtime.GOARCH
	if info, ok := debug.ReadBuildInfo(); ok && arch == "arm" {
		for _, s := range info.Settings {
			if s.Key == "GOARM" {
				kind, _, _ := strings.Cut(s.Value, ",")
				arch += "v" + kind
			}
		}
	}
	return runtime.GOOS + "-" + arch
}

// What the launcher tells the version that it gives its place to: its own path, and
// that version.
const (
	launcherVariable = "EKASSA_LAUNCHER"
	versionVariable  = "EKASSA_LAUNCHED"
)

// running is the version of the folder that this is; "" is the packaged program.
func running() string {
	if os.Getenv(launcherVariable) == "" {
		return ""
	}
	return os.Getenv(versionVariable)
}

// launch gives this program's place to the version that is to run, where that is
// another. It returns where this one is to run: because it is the one, or because
// that one cannot be begun, which is then noted there and in the log.
func launch(file string, log *slog.Logger) {
	if !canReplace || os.Getenv(launcherVariable) != "" {
		return
	}
	me, err := own()
	if err != nil || len(me.Keys) == 0 {
		return // run says so
	}
	dir, err := config.DataDir(file)
	if err != nil {
		return // run says so, in full
	}
	folder := update.In(dir, me)
	for {
		program, to, err := folder.Choose(time.Now())
		if err != nil {
			log.Error("which version is to run cannot be read: the packaged one does", "error", err)
			return
		}
		if program == "" {
			return
		}
		path, err := os.Executable()
		if err == nil {
			log.Info("another version of the program takes this one's place", "packaged", version, "version", to)
			err = replace(program, append(without(os.Environ()), launcherVariable+"="+path, versionVariable+"="+to))
		}
		log.Error("a version of the program cannot be started: the one before is", "version", to, "error", err)
		if err := folder.Unstartable(to, fmt.Errorf("it cannot be started: %w", err), time.Now()); err != nil {
			log.Error("that cannot be noted: the packaged version runs", "error", err)
			return
		}
	}
}

// relaunch has the launcher choose anew, in this very process: whoever supervises it
// sees it live on. The sockets that this process was started with go along.
func relaunch(sockets []*os.File) error {
	path := os.Getenv(launcherVariable)
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program's own file: %w", err)
		}
	}
	if err := hand(sockets); err != nil {
		return fmt.Errorf("hand the sockets over to another version of the program: %w; start the agent anew", err)
	}
	if err := replace(path, without(os.Environ())); err != nil {
		return fmt.Errorf("begin another version of the program: %w; start the agent anew", err)
	}
	return nil
}

// without is the environment as the launcher was given it.
func without(environment []string) (list []string) {
	for _, v := range environment {
		if !strings.HasPrefix(v, launcherVariable+"=") && !strings.HasPrefix(v, versionVariable+"=") {
			list = append(list, v)
		}
	}
	return list
}
