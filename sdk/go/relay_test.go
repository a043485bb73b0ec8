package vectron_test

import (
	"net"
	"sync/atomic"
	"testing"
)

// relay is a stretch of network between a client and a server.
type relay struct {
	address     string
	sent        atomic.Int64 // bytes that went to the server
	connections atomic.Int64 // how many there have been
	deaf        atomic.Int64 // of the first so many connections nothing arrives any more
}

// newRelay passes connections on to an address.
func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	between := &relay{address: listener.Addr().String()}
	go func() {
		for {
			here, err := listener.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", to)
			if err != nil {
				here.Close()
				continue
			}
			number := between.connections.Add(1)
			go between.pass(here, there, number, &between.sent)
			go between.pass(there, here, number, &atomic.Int64{})
		}
	}()
	return between
}

// fallSilent swallows what is said from now on over the connections there are, either way, and closes none of them.
func (r *relay) fallSilent() { r.deaf.Store(r.connections.Load()) }

func (r *relay) pass(from, to net.Conn, number int64, count *atomic.Int64) {
	defer to.Close()
	buffer := make([]byte, 1<<16)
	for {
		size, err := from.Read(buffer)
		if err != nil {
			return
		}
		if number <= r.deaf.Load() {
			continue
		}
		count.Add(int64(size))
		if _, err := to.Write(buffer[:size]); err != nil {
			return
		}
	}
}
