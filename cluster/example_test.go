package cluster_test

import (
	"context"
	"fmt"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	_ "github.com/parade-go/parade/process" // serves in the engines' children
)

// A cluster that was started with "parade cluster start lab" is found by its name.
func Example() {
	ctx := context.Background()
	conn, err := cluster.Find("lab")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := cluster.Connect(ctx, conn)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	squares, err := parade.Map(ctx, client.LoadBalanced(), parade.Pure("example.square", func(x int) int { return x * x }), []int{1, 2, 3})
	fmt.Println(squares, err)
}
