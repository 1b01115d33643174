package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// run is the whole command; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := withSignals(context.Background())
	defer stop()
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	// What a command returns after a signal tells how it stopped, not why.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, errClosedPipe) {
		return exitCode(err)
	}
	newTerminal(stderr).complain(err)
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "Run \"%s --help\" for what it takes.\n", cmd.CommandPath())
	}
	return exitCode(err)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "parade",
		Short: "One function over many inputs: the same call on every executor",
		Long: `Parade runs one function over many inputs: in order on one core, on all cores,
or in separate processes. The call is the same everywhere, and so is the answer.

This command does that with programs of any kind (run), with files of spike trains
(spikes) and with NIfTI images (smooth), and shows what it is worth on this machine.
Programs use the Go package github.com/parade-go/parade.`,
		Example: `  parade run gzip -k {} ::: *.txt
  parade demo                  Elephant's parallel tutorial on every executor
  parade spikes rate *.csv     firing rates of recordings; see parade spikes --help
  parade smooth --fwhm 6 -o smoothed *.nii.gz
  parade doctor                what this machine offers
  parade bench --quick         what a task costs, per executor`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2 // edits that turn a typo into a command
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(newDemoCommand(), newDoctorCommand(), newBenchCommand(), newSpikesCommand(), newRunCommand(), newSmoothCommand(), newClusterCommand(), newJobsCommand(), newVersionCommand(), newExitCodesTopic(), newManCommand(), newWholeImageCommand())
	root.AddCommand(newJobCommands()...)
	root.InitDefaultCompletionCmd("completion")
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args = unknownShell(c)
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, _, err := root.Find(args); err != nil || found == root && len(args) > 0 {
					return noArguments(root, args)
				}
				return nil
			}
		}
	}
	return root
}

// newExitCodesTopic is a help page, not a command: "parade help exit-codes".
func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long:  exitCodesText(),
	}
}

// noArguments refuses what is left when flags are taken out: for the root a
// command that does not exist.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasParent() {
		return usagef("%s takes no arguments, got %q", cmd.CommandPath(), args[0])
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("there is no command %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return usagef("there is no command %q; there are %s", args[0], strings.Join(commandNames(cmd), ", "))
}

func unknownShell(completion *cobra.Command) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return usagef("there is no completion for %q; there is for %s", args[0], strings.Join(commandNames(completion), ", "))
	}
}

func commandNames(parent *cobra.Command) []string {
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	slices.Sort(names)
	return names
}
