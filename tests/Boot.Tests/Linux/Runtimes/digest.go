// The same in Go, on several goroutines, with garbage.
package main

import (
	"fmt"
	"math"
	"sort"
)

func part(seed uint32, to chan<- string) {
	sum := uint32(2166136261)
	state := seed
	for i := 0; i < 8000000; i++ {
		state = state*1664525 + 1013904223
		sum = (sum ^ (state >> 24)) * 16777619
	}
	fraction := 0.0
	for i := 1; i < 1000000; i++ {
		fraction += math.Sqrt(float64(i)) / (float64(i) + 0.5)
	}
	table := map[string]int{}
	for i := 0; i < 200000; i++ {
		state = state*1664525 + 1013904223
		table[fmt.Sprintf("w%d", state>>12)]++
	}
	words := make([]string, 0, len(table))
	for word := range table {
		words = append(words, word)
	}
	sort.Strings(words)
	for _, word := range words {
		for _, letter := range []byte(word) {
			sum = (sum ^ uint32(letter)) * 16777619
		}
		sum += uint32(table[word])
	}
	to <- fmt.Sprintf("%08x-%016x", sum, math.Float64bits(fraction))
}

func main() {
	parts := make(chan string)
	for i := 0; i < 4; i++ {
		go part(uint32(i+1), parts)
	}
	all := []string{<-parts, <-parts, <-parts, <-parts}
	sort.Strings(all)
	fmt.Println(all)
}
