package command_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
	"go.uber.org/goleak"

	_ "github.com/parade-go/parade/process"
)

// A test that needs a process that it can kill, or whose own output it can read,
// starts this binary again, and says with roleVariable which of roles it is.
const roleVariable = "PARADE_TEST_ROLE"

var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	parade.Serve()
	if role := os.Getenv(roleVariable); role != "" {
		f := roles[role]
		if f == nil {
			fmt.Fprintf(os.Stderr, "no role %q\n", role)
			os.Exit(1)
		}
		if err := f(); err != nil {
			fmt.Fprintf(os.Stderr, "role %s: %v\n", role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// direct is a command whose words go to exec as they are; shell one for a shell.
func direct(t *testing.T, words ...string) command.Template {
	t.Helper()
	template, err := command.ParseTemplate(words, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func shell(t *testing.T, text string) command.Template {
	t.Helper()
	template, err := command.ParseTemplate([]string{text}, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func parsed(t *testing.T, text string) command.Template {
	t.Helper()
	template, err := command.ParseText(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func input(args ...string) command.Input { return command.Input{Seq: 1, Args: args} }
