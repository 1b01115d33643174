//go:build unix

package command_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
)

// One command over many inputs, two at a time.
func Example_run() {
	template, err := command.ParseTemplate([]string{"expr", "{}", "*", "{}"}, false, nil)
	if err != nil {
		log.Fatal(err)
	}
	words, err := command.Words([]string{"2", "3", "x"}, command.Format{})
	if err != nil {
		log.Fatal(err)
	}
	var inputs []command.Input
	for in, err := range words.Inputs() {
		if err != nil {
			log.Fatal(err)
		}
		inputs = append(inputs, in)
	}
	spec := command.Spec{Template: template, Env: []string{"LC_ALL=C"}}
	results, err := parade.Map(context.Background(), parade.Threads(2), parade.Bind(command.Run, spec), inputs, parade.CollectErrors())
	for _, r := range results {
		if _, err := r.Stdout.WriteTo(os.Stdout); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(err != nil)
	// Output:
	// 4
	// 9
	// true
}
