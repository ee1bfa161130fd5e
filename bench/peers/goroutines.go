// SPDX-License-Identifier: MIT

// What goroutines take for the questions that weft's benchmarks of the same name ask. Without
// arguments it lists them; NAME SECONDS measures one for about so long, and prints the nanoseconds
// of an item (`time 12.3`) or the bytes (`bytes 456`).
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	yields  = 100_000
	turns   = 20_000
	numbers = 100_000
	waiting = 1_000_000
)

func must(right bool, what string) {
	if !right {
		fmt.Fprintln(os.Stderr, "wrong:", what)
		os.Exit(1)
	}
}

// The time of an item, from as many rounds of `items` each as fit into `budget`.
func perItem(budget time.Duration, items int, round func()) float64 {
	rounds := 0
	begin := time.Now()
	for rounds == 0 || time.Since(begin) < budget {
		round()
		rounds++
	}
	return float64(time.Since(begin).Nanoseconds()) / float64(rounds*items)
}

// Starts `count` goroutines and waits for all.
func together(count int, body func(int)) {
	var all sync.WaitGroup
	all.Add(count)
	for i := 0; i < count; i++ {
		go func(i int) {
			body(i)
			all.Done()
		}(i)
	}
	all.Wait()
}

func yield(tasks int) func() {
	return func() {
		var done int64
		together(tasks, func(int) {
			for n := 0; n < yields/tasks; n++ {
				runtime.Gosched()
			}
			atomic.AddInt64(&done, int64(yields/tasks))
		})
		must(done == yields, "lost a turn")
	}
}

func spawnJoin(tasks int) func() {
	slots := make([]uint32, tasks)
	round := uint32(0)
	return func() {
		round++
		together(tasks, func(i int) { slots[i] = round })
		for _, slot := range slots {
			must(slot == round, "a task did not run")
		}
	}
}

func contendedMutex(tasks int) func() {
	return func() {
		var mutex sync.Mutex
		done := 0
		together(tasks, func(int) {
			for n := 0; n < turns/tasks; n++ {
				mutex.Lock()
				runtime.Gosched()
				done++
				mutex.Unlock()
			}
		})
		must(done == turns, "lost a turn")
	}
}

func mutex() func() {
	var mutex sync.Mutex
	return func() {
		sum := 0
		for n := 0; n < numbers; n++ {
			mutex.Lock()
			sum++
			mutex.Unlock()
		}
		must(sum == numbers, "wrong sum")
	}
}

func channel(pairs, slots int) func() {
	return func() {
		values := make(chan uint64, slots)
		var sum uint64
		together(2*pairs, func(i int) {
			if i < pairs {
				for n := i; n < numbers; n += pairs {
					values <- uint64(n)
				}
				return
			}
			part := uint64(0)
			for n := 0; n < numbers/pairs; n++ {
				part += <-values
			}
			atomic.AddUint64(&sum, part)
		})
		must(sum == numbers*(numbers-1)/2, "lost a number")
	}
}

func resident() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	must(err == nil, "no /proc/self/statm")
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	must(err == nil, "no number of pages")
	return float64(pages * os.Getpagesize())
}

func suspendedBytes() float64 {
	before := resident()
	over := make(chan struct{})
	var begun, sum int64
	var all sync.WaitGroup
	all.Add(waiting)
	for i := 0; i < waiting; i++ {
		go func(number int32) {
			atomic.AddInt64(&begun, 1)
			<-over
			atomic.AddInt64(&sum, int64(number))
			all.Done()
		}(int32(i))
	}
	for atomic.LoadInt64(&begun) < waiting {
		runtime.Gosched()
	}
	bytes := (resident() - before) / waiting
	close(over)
	all.Wait()
	must(sum == int64(waiting)*(waiting-1)/2, "lost a task")
	return bytes
}

func list() {
	for _, name := range []string{"runtime/yield/go/tasks:1000", "runtime/spawn_join/go/tasks:1000000",
		"runtime/when_all/go/tasks:1000", "runtime/contended_mutex/go/waiting:1000"} {
		fmt.Println(name + "/workers:1\n" + name + "/workers:2")
	}
	for _, pairs := range []int{1, 4} {
		for _, workers := range []int{1, 2} {
			fmt.Printf("runtime/channel/go/pairs:%d/workers:%d/slots:1024\n", pairs, workers)
		}
	}
	fmt.Println("runtime/mutex/go\nruntime/suspended_bytes/go")
}

func main() {
	if len(os.Args) != 3 {
		list()
		return
	}
	arguments := map[string]int{"workers": 1}
	parts := strings.Split(os.Args[1], "/")
	for _, part := range parts[3:] {
		key, value, _ := strings.Cut(part, ":")
		number, err := strconv.Atoi(value)
		must(err == nil, "no number in "+part)
		arguments[key] = number
	}
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	must(err == nil, "no number of seconds")
	budget := time.Duration(seconds * float64(time.Second))
	runtime.GOMAXPROCS(arguments["workers"])
	tasks := arguments["tasks"]
	show := func(items int, round func()) {
		fmt.Printf("time %f\n", perItem(budget, items, round))
	}
	switch parts[1] {
	case "yield":
		show(yields, yield(tasks))
	case "spawn_join", "when_all":
		show(tasks, spawnJoin(tasks))
	case "contended_mutex":
		show(turns, contendedMutex(arguments["waiting"]))
	case "mutex":
		show(numbers, mutex())
	case "channel":
		show(numbers, channel(arguments["pairs"], arguments["slots"]))
	case "suspended_bytes":
		fmt.Printf("bytes %f\n", suspendedBytes())
	default:
		must(false, "nothing is called "+os.Args[1])
	}
}
