// SPDX-License-Identifier: Apache-2.0

// Go: goroutines' stacks, which keep frame pointers, and the runtime's own.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
)

var spins uint64 = 2
var sink uint64

//go:noinline
func leafGo(x uint64) uint64 {
	for n := spins; n > 0; n-- {
		sink++
	}
	return x + 1
}

//go:noinline
func goChain(x uint64) uint64 {
	a := leafGo(x)
	b := leafGo(a)
	return a ^ b
}

//go:noinline
func goDeep(n uint64) uint64 {
	var room [64]uint64
	if n == 0 {
		return goChain(n)
	}
	room[n%64] = goDeep(n - 1)
	return room[n%64] + n
}

//go:noinline
func goSorts() uint64 {
	v := []uint64{5, 2, 8, 1}
	sort.Slice(v, func(i, j int) bool { return leafGo(v[i]) < leafGo(v[j]) })
	return v[0]
}

//go:noinline
func goWorker(in chan uint64, out chan uint64) {
	for x := range in {
		out <- goChain(x)
	}
	close(out)
}

func main() {
	rounds := 1
	if len(os.Args) > 1 {
		spins, _ = strconv.ParseUint(os.Args[1], 10, 64)
	}
	if len(os.Args) > 2 {
		rounds, _ = strconv.Atoi(os.Args[2])
	}
	runtime.LockOSThread()
	mark(1)
	for ; rounds > 0; rounds-- {
		sink += goDeep(20) + goSorts()
		sink += uint64(len(fmt.Sprint(sink, "text", 1.5)))
		in, out := make(chan uint64), make(chan uint64)
		go goWorker(in, out)
		in <- 1
		sink += <-out
		close(in)
		<-out
	}
	mark(2)
}
