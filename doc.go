// Package parade runs one function over many inputs: in order on one core, on
// all cores, or in separate processes. The call is the same everywhere, and so
// is the answer.
//
//	var square = parade.Pure("square", func(x float64) float64 { return x * x })
//
//	ex, err := parade.Open(ctx, "processes:4") // or serial, threads, threads:8
//	defer ex.Close()
//	squares, err := parade.Map(ctx, ex, square, []float64{1, 2, 3})
//
// # Functions
//
// A function that other processes are to run is declared once, in a
// package-level variable, under a name of its own: [Func], [Pure], [Func2] and
// so on, by its shape. [Bind] fixes the first argument of a two-argument
// function; the bound value travels once per worker, however many tasks use
// it. A closure needs no name ([Closure]) and runs wherever memory is shared.
//
// # Calls
//
// [Map] takes a slice and returns the results in its order. [Stream] takes an
// iterator, endless if need be, and holds a bounded number of items and bytes
// in flight. [Go] makes one call and returns a [Future]. Options set batch
// size, retries, a timeout per task, the error policy, a seed and so on.
//
// # Executors
//
// "serial" and "threads" are always there. Importing
// github.com/parade-go/parade/process adds "processes", child processes that
// run this same program: [Open] is where such a child stops being the user's
// program and starts to serve, so nothing else is asked of main. What main
// does before Open is done by every child too; call [Serve] first where that
// matters.
//
// # Failure
//
// A task that fails, panics, runs out of time or loses its worker costs no
// other task's result. Map returns what was computed, aligned with the inputs,
// and a [JobError] that names every task that failed, each a [TaskError].
//
// # For authors of executors
//
// An [Executor] within this process calls [Job.Work] on as many goroutines as
// it likes. One with workers elsewhere starts them, hands a [Link] to each to a
// [Dispatcher], and has the worker call [ServeWorker]. [Register] makes it
// known to [Open]; [Driver] says how its workers come to serve.
package parade
