// Package usage has the programs' command lines answer a mistake with one line
// that says what was wrong and where help is.
package usage

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Execute runs a program's command line. Whatever was written wrongly in it is
// an error that names the command's help; that a command which only leads to
// others was given nothing, or something unknown, is one as well.
func Execute(ctx context.Context, root *cobra.Command) error {
	strict(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && strings.HasPrefix(err.Error(), "required flag(s)") { // which cobra gives no way to word
		return wrong(cmd, err)
	}
	return err
}

func wrong(cmd *cobra.Command, err error) error {
	return fmt.Errorf("read the command line: %w; see %s --help", err, cmd.CommandPath())
}

func strict(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		strict(c)
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrong(cmd, fmt.Errorf("no command is named"))
			}
			return wrong(cmd, fmt.Errorf("%q is no command", args[0]))
		}
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return wrong(cmd, err)
			}
			return nil
		}
	}
	cmd.SetFlagErrorFunc(wrong)
}
