// Command ekassa-cloud is the fleet's program. It parses flags and calls package
// cloud, which does the work.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ekassa/cloud"
	"ekassa/cloud/config"
	"ekassa/cloud/fleet"
	"ekassa/cloud/usage"
)

// version is stamped by the build.
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := usage.Execute(ctx, root())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ekassa-cloud: "+strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

func root() *cobra.Command {
	root := &cobra.Command{
		Use: "ekassa-cloud", Short: "The fleet's side: settings go down to agents, reports come up", Version: version,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	user := &cobra.Command{Use: "user", Short: "The people and programs that may use the cloud"}
	user.AddCommand(addUser())
	releases := &cobra.Command{Use: "release", Short: "The versions of the agent's program that can be ordered", Args: cobra.NoArgs}
	releases.AddCommand(addRelease())
	root.AddCommand(serve(), user, releases, backup(), mosquitto())
	return root
}

// withConfig gives a command its --config, and what it says.
func withConfig(cmd *cobra.Command, do func(cmd *cobra.Command, args []string, cfg config.Config) error) *cobra.Command {
	path := cmd.Flags().String("config", "", "the cloud's configuration, cloud.yaml")
	required(cmd, "config")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return err
		}
		return do(cmd, args, cfg)
	}
	return cmd
}

func required(cmd *cobra.Command, flag string) {
	if err := cmd.MarkFlagRequired(flag); err != nil {
		panic(err) // the flag stands in the lines above
	}
}

func serve() *cobra.Command {
	return withConfig(&cobra.Command{
		Use: "serve --config FILE", Short: "Serve agents and people in the foreground until SIGTERM",
		Example: "  ekassa-cloud serve --config /etc/ekassa-cloud/cloud.yaml", Args: cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		return cloud.Run(cmd.Context(), cfg, cloud.Options{Version: version, Log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))})
	})
}

func addUser() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add NAME --role admin|operator|viewer --config FILE", Short: "Add a user; their password and token are printed once",
		Example: "  ekassa-cloud user add leyla --role admin --config cloud.yaml", Args: cobra.ExactArgs(1),
	}
	role := cmd.Flags().String("role", "", "viewer looks; operator changes settings, gives commands and enrolls; admin does everything")
	asJSON := cmd.Flags().Bool("json", false, `print {"password", "token"}`)
	required(cmd, "role")
	return withConfig(cmd, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		password, token, err := cloud.AddUser(cmd.Context(), cfg, args[0], fleet.Role(*role))
		if err != nil {
			return fmt.Errorf("add user %s: %w", args[0], err)
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"password": password, "token": token})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "password: %s\ntoken:    %s\nThey are not shown again.\n", password, token)
		return nil
	})
}

func addRelease() *cobra.Command {
	return withConfig(&cobra.Command{
		Use: "add FOLDER --config FILE", Short: "Take a signed release over, as scripts/release has made it; also while the cloud runs",
		Long: "Take a signed release of the agent's program over. Agents are ordered it by the command update, or a group of\n" +
			"them by a rollout; each verifies it by the keys that are built into it. Where several processes serve the\n" +
			"fleet, add it at each.",
		Example: "  ekassa-cloud release add 1.3.0 --config cloud.yaml", Args: cobra.ExactArgs(1),
	}, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		r, err := cloud.AddRelease(cfg, args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "version %s can be ordered, for %d kinds of machine, until %s\n", r.Version, len(r.Programs), r.Expires.Format(time.DateOnly))
		return nil
	})
}

func backup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup --out FILE --config FILE", Short: "Write a copy of the database to a new file, also while the cloud runs",
		Long: "Write a copy of the database, as of one moment, to a new file; the cloud may run meanwhile.\n" +
			"It has every secret of the fleet, and the authority's key: keep it where nobody else reads it.\n" +
			"To restore SQLite, stop the cloud and put the file in place of cloud.db in data_dir, without\n" +
			"the -wal and -shm beside it; of PostgreSQL the file is pg_dump's, for pg_restore.",
		Example: "  ekassa-cloud backup --out /backup/cloud-2026-11-24 --config cloud.yaml", Args: cobra.NoArgs,
	}
	out := cmd.Flags().String("out", "", "the new file; better on another disk")
	required(cmd, "out")
	return withConfig(cmd, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		if err := cloud.Backup(cmd.Context(), cfg, *out); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "written to %s\n", *out)
		return nil
	})
}

func mosquitto() *cobra.Command {
	cmd := &cobra.Command{
		Use: "mosquitto --host NAME --dir FOLDER --config FILE", Short: "Write what Mosquitto needs to be the fleet's broker",
		Long: "Write configuration, access list, certificates and revocation list for Mosquitto into a folder,\n" +
			"and the certificate that the cloud shows it. Run it again before the broker's certificate ends,\n" +
			"in a year.",
		Example: "  ekassa-cloud mosquitto --host mqtt.example.com --dir /etc/mosquitto/ekassa --config cloud.yaml\n  mosquitto -c /etc/mosquitto/ekassa/mosquitto.conf", Args: cobra.NoArgs,
	}
	host := cmd.Flags().String("host", "", "the name or IP by which agents connect")
	dir := cmd.Flags().String("dir", "", "the folder")
	processes := cmd.Flags().Int("processes", 1, "how many ekassa-cloud connect, 1 to 3")
	required(cmd, "host")
	required(cmd, "dir")
	return withConfig(cmd, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		if *processes < 1 || *processes > 3 {
			return fmt.Errorf("--processes: %d; write 1 to 3, and for more add their names to the access list", *processes)
		}
		if err := cloud.Mosquitto(cmd.Context(), cfg, *host, *dir, *processes); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "written to %[1]s\nIn cloud.yaml:\n  broker: {url: \"mqtts://%[2]s:8883\", ca: %[1]s/ca.pem, cert: %[1]s/cloud-1.pem, key: %[1]s/cloud-1.key, shared: true}\n", *dir, *host)
		return nil
	})
}
