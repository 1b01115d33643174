package main

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/command"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// instead says what to do in place of flags of GNU parallel and xargs that run does not
// have. docs/coming-from-gnu-parallel.md has the same; a test compares them.
var instead = []struct {
	flags string
	text  string
}{
	{"-d --delimiter", `put each input on a line of its own before: tr X '\n' |`},
	{"-E --eof", `cut the list before: sed '/^END$/,$d' |`},
	{"--skip-first-line", "--header :, or tail -n +2 | before it"},
	{"--trim", "columns of --colsep are trimmed, lines are not"},
	{"-L -l -m -X -s -x --xargs --max-lines --max-chars --exit", "-n N gives a command up to N inputs; nothing fills it up"},
	{"--arg-sep --arg-file-sep", "give inputs with such names in a file, -a FILE"},
	{"-i -U --replace --rpl --parens --er --extensionreplace --basenamereplace --bnr --dirnamereplace --dnr --basenameextensionreplace --bner --seqreplace --slotreplace", `write {} and its kin; {\} is the text {} itself`},
	{"--filter --limit", "filter the list before, or in the command"},
	{"--template --tmpl", "write the file in the command, into {scratch}"},
	{"--use-cores-instead-of-threads --use-cpus-instead-of-cores --use-sockets-instead-of-threads", "give -j N"},
	{"--memsuspend --noswap", "--memfree holds back starts, --max-memory limits a process"},
	{"--termseq", "a task gets SIGTERM and, 2 s later, SIGKILL, with all that it has started"},
	{"--record-env", "the environment is inherited; --env NAME=value adds to it"},
	{"--tty --open-tty -o -p --interactive --fg", "commands run beside each other, without a terminal; --stdin FILE is their input"},
	{"--tmux --tmuxpane", "--line-buffer --tag shows what runs"},
	{"--files --files0", "--results DIR"},
	{"--sqlmaster --sqlworker --sqlandworker --sql", "--json > FILE"},
	{"--compress --compress-program --decompress-program --tmpdir --tempdir", "large outputs go to files in $TMPDIR"},
	{"--color --color-failed --ctag --ctagstring", "failures are in the summary; --tag begins each line with the input"},
	{"-t", "-v prints each command before its output"},
	{"--latest-line --ll", "progress names the task that runs longest"},
	{"-S --sshlogin --sshloginfile --slf --onall --nonall --controlmaster -M --ssh --sshdelay --filter-hosts", "everything runs on this machine; --on names an executor"},
	{"--transferfile --transfer --tf --return --cleanup --trc --basefile --bf --rsync-opts", "everything runs on this machine, where the files are"},
	{"--pipe --spreadstdin --pipepart --block --block-size --recstart --recend --regexp --remove-rec-sep --rrs --cat --fifo --tee --roundrobin --round-robin --shard --bin --groupby --group-by", "cut the input into files with split, and give these as inputs"},
	{"--semaphore --sem --semaphorename --semaphoretimeout --st --id --bg --wait", "flock FILE COMMAND"},
	{"--shebang --shebang-wrap --hashbang --embed --profile -J --session", "write the command line into a script"},
	{"--shellquote --shell-quote", `printf '%q\n' of bash`},
	{"--number-of-cores --number-of-cpus --number-of-sockets --number-of-threads", "parade doctor says how many cores there are"},
	{"--version -V --minversion", "parade version"},
	{"--process-slot-var", "{%}, or $PARADE_SLOT in the environment"},
}

// insteadOf gives the text for a flag as the user wrote it, -X or --name.
func insteadOf(flag string) (string, bool) {
	for _, row := range instead {
		if slices.Contains(strings.Fields(row.flags), flag) {
			return row.text, true
		}
	}
	return "", false
}

// runFlagError puts what pflag says of a flag into words for users.
func runFlagError(_ *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if errors.As(err, &missing) {
		flag := "--" + missing.GetSpecifiedName()
		if missing.GetSpecifiedShortnames() != "" {
			flag = "-" + missing.GetSpecifiedName()
		}
		if text, ok := insteadOf(flag); ok {
			return usagef("there is no %s; instead: %s", flag, text)
		}
	}
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &invalid) && errors.As(invalid.Unwrap(), &number) {
		want := "a whole number, such as 3"
		if invalid.GetFlag().Value.Type() == "bool" {
			want = "true or false, or the flag alone"
		}
		return usagef("--%s %s: give %s", invalid.GetFlag().Name, invalid.GetValue(), want)
	}
	return &usageError{err}
}

// refuseEmpty refuses flags that have an empty text, as a script's unset variable gives.
func refuseEmpty(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		empty := flag.Value.String() == "" && flag.Value.Type() == "string"
		if v, ok := flag.Value.(pflag.SliceValue); ok {
			empty = slices.Contains(v.GetSlice(), "")
		}
		if name := flag.Name; empty && err == nil {
			if name == "joblog" {
				name = "joblog or --journal"
			}
			err = usagef("--%s was given an empty text", name)
		}
	})
	return err
}

// onceValue is a text that has two names, and so may come twice.
type onceValue struct {
	text *string
	why  string
}

func (v onceValue) Type() string   { return "string" }
func (v onceValue) String() string { return *v.text }

func (v onceValue) Set(text string) error {
	if *v.text != "" && *v.text != text {
		return usagef("it is %s already; %s", command.Quote(*v.text), v.why)
	}
	*v.text = text
	return nil
}

// placeholderValue is -I, which can only say what is so.
type placeholderValue struct{}

func (placeholderValue) Type() string   { return "string" }
func (placeholderValue) String() string { return "{}" }

func (placeholderValue) Set(text string) error {
	if text != "{}" {
		return usagef("write {} in its place")
	}
	return nil
}

// shellWords are words that mean something to a shell, and nothing to a program.
var shellWords = []string{">", "<", "|", "&&", "||", ";", ">>", "2>", "2>&1", "&"}

// ofShell finds a word of a command that was probably meant for a shell. Programs that
// take such words themselves are not suspected.
func ofShell(t command.Template) (string, bool) {
	if t.Shell || len(t.Words) < 2 {
		return "", false
	}
	switch program := t.Words[0]; program[strings.LastIndexByte(program, '/')+1:] {
	case "find", "expr", "test", "[", "xargs", "parallel", "parade":
		return "", false
	}
	i := slices.IndexFunc(t.Words, func(w string) bool { return slices.Contains(shellWords, w) })
	if i < 0 {
		return "", false
	}
	return t.Words[i], true
}

// builtins are commands of a shell of which there is no program, or none that does the
// same.
var builtins = []string{
	".", ":", "alias", "bind", "builtin", "cd", "command", "declare", "eval", "exec", "exit", "export", "hash", "let", "local",
	"popd", "pushd", "read", "readonly", "return", "set", "shift", "shopt", "source", "trap", "type", "typeset", "ulimit",
	"umask", "unalias", "unset", "wait",
}

// noProgram says what to do about a name that is no program.
func noProgram(name string) error {
	quoted := command.Quote(name)
	switch _, function := os.LookupEnv("BASH_FUNC_" + name + "%%"); {
	case function:
		return usagef(`there is no program %s, but a function of bash: bash -c '%[1]s "$@"' bash {}`, name)
	case slices.Contains(builtins, name):
		return usagef("there is no program %s, as it is a command of the shell: give --shell, or write all as one string, '%[1]s {} && COMMAND'", name)
	case fileExists(name):
		return usagef("there is no command %s; for the file in this folder write ./%[1]s", quoted)
	}
	return usagef("there is no command %s", quoted)
}
