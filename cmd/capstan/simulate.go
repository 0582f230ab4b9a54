package main

import (
	"fmt"
	"math"
	"net"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/replay/simhttp"
)

func simulateCommand() *cli.Command {
	return &cli.Command{
		Name:      "simulate",
		Usage:     "serve a simulated endpoint",
		ArgsUsage: "ENGINE",
		Description: "Serves Chat Completions from a simulated engine in real time: an engine file, or\n" +
			"the name of a built-in engine. Prints the address once it listens; an interrupt ends it.\n\nExample:\n\n" +
			"  capstan simulate small --listen 127.0.0.1:8000",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8000", Usage: "`ADDR` to listen on; port 0 takes a free one"},
			&cli.Float64Flag{Name: "speed", Value: 1, Usage: "run the engine `X` times as fast"},
		},
		Action: runSimulate,
	}
}

func runSimulate(c *cli.Context) error {
	name, err := operand(c, "an engine file or a built-in engine")
	if err != nil {
		return err
	}
	if speed := c.Float64("speed"); !(speed > 0) || math.IsInf(speed, 1) {
		return usagef("--speed: got %v, want a number above 0", c.Float64("speed"))
	}
	t, err := openEngine(name)
	if err != nil {
		return err
	}
	server, err := simhttp.New(t.params.Scaled(c.Float64("speed")))
	if err != nil { // the engine itself was checked
		return usagef("--speed: got %v, which this engine cannot be: %v", c.Float64("speed"), err)
	}
	ln, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Fprintf(c.App.Writer, "http://%s\n", ln.Addr())
	return server.Serve(c.Context, ln)
}
