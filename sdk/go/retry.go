package vectron

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
)

// RetryPolicy says when a failed call is tried again, and after which pause.
//
// UNAVAILABLE, DEADLINE_EXCEEDED and RESOURCE_EXHAUSTED are tried again for reads, and for writes with a request id (every upsert
// and delete has one); other writes only after RESOURCE_EXHAUSTED. The pause doubles, is randomised, and is never shorter than the
// server asked for. A server that asks to slow down and says for how long is heeded until the call's context ends, whatever
// MaxAttempts (unless that is 1, which means never): it works, and a loader is to go at its pace. A message or an answer over a limit of
// size is not tried again: it would be as large.
type RetryPolicy struct {
	MaxAttempts    int
	InitialBackoff time.Duration
	MaxBackoff     time.Duration
}

// DefaultRetryPolicy is what a client uses unless told otherwise.
var DefaultRetryPolicy = RetryPolicy{MaxAttempts: 5, InitialBackoff: 100 * time.Millisecond, MaxBackoff: 3 * time.Second}

// A read changes nothing. A named write carries a request id, so that a repeat applies once. Any other write may have happened
// when its answer was lost.
type callKind int

const (
	read callKind = iota
	namedWrite
	otherWrite
)

// pause is how long to wait before the next attempt; ok is false: give up. attempt: attempts made so far, at least 1.
// jitter: in [0, 1).
func (p RetryPolicy) pause(err *Error, kind callKind, attempt int, remaining time.Duration, jitter float64) (wait time.Duration, ok bool) {
	worth := err.Code == codes.ResourceExhausted
	if kind != otherWrite {
		worth = worth || err.Code == codes.Unavailable || err.Code == codes.DeadlineExceeded
	}
	paced := err.Code == codes.ResourceExhausted && err.RetryAfter > 0 && p.MaxAttempts > 1
	if !worth || err.tooLarge() || (attempt >= p.MaxAttempts && !paced) {
		return 0, false
	}
	ceiling := p.MaxBackoff
	if doubled := p.InitialBackoff << min(attempt-1, 20); doubled > 0 && doubled < ceiling {
		ceiling = doubled
	}
	wait = time.Duration(float64(ceiling) * (0.5 + 0.5*jitter))
	// Spread over a quarter more, so that all who were told the same do not come back at once.
	wait = max(wait, time.Duration(float64(err.RetryAfter)*(1+0.25*jitter)))
	return wait, wait < remaining
}

// run makes attempts until one succeeds, none is worth more, or the context ends.
func (c *Client) run(ctx context.Context, kind callKind, attempt func(context.Context) error) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.timeout)
		defer cancel()
	}
	for made := 1; ; made++ {
		err := c.attempt(ctx, attempt)
		if err == nil {
			return nil
		}
		ours := fromRPC(err, c.host)
		deadline, _ := ctx.Deadline()
		wait, ok := c.options.retry.pause(ours, kind, made, time.Until(deadline), rand.Float64())
		if !ok || ctx.Err() != nil {
			return ours
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ours
		}
	}
}

func (c *Client) attempt(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.attemptTimeout)
	defer cancel()
	ctx, err := c.withCredential(ctx)
	if err != nil {
		return err
	}
	return attempt(ctx)
}
