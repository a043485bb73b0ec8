package vectron

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a caller can do about an error, for errors.Is.
var (
	ErrInvalidArgument    = errors.New("invalid argument")    // fix the request; nothing was written
	ErrAuthentication     = errors.New("not authenticated")   // no credential, or one that is wrong or expired
	ErrPermissionDenied   = errors.New("permission denied")   // the credential does not allow this
	ErrNotFound           = errors.New("not found")           // no such collection or point
	ErrAlreadyExists      = errors.New("already exists")      // the name is taken, or an insert-only point exists
	ErrFailedPrecondition = errors.New("failed precondition") // the system is not in the state the request needs
	ErrAborted            = errors.New("aborted")             // read again, then try again
	ErrResourceExhausted  = errors.New("resource exhausted")  // slow down, honouring Error.RetryAfter
	ErrUnavailable        = errors.New("unavailable")         // the server cannot be reached or is starting
	ErrDeadlineExceeded   = errors.New("deadline exceeded")   // no answer in time; a write may have happened
	ErrUnimplemented      = errors.New("unimplemented")       // this server does not offer it
	ErrDataLoss           = errors.New("data loss")           // stored data is damaged: tell an operator
	ErrCanceled           = errors.New("canceled")            // by the caller, or the client is closed
	ErrInternalServer     = errors.New("internal error")      // a fault of the server; its log says more
)

var kinds = map[codes.Code]error{
	codes.InvalidArgument:    ErrInvalidArgument,
	codes.OutOfRange:         ErrInvalidArgument,
	codes.Unauthenticated:    ErrAuthentication,
	codes.PermissionDenied:   ErrPermissionDenied,
	codes.NotFound:           ErrNotFound,
	codes.AlreadyExists:      ErrAlreadyExists,
	codes.FailedPrecondition: ErrFailedPrecondition,
	codes.Aborted:            ErrAborted,
	codes.ResourceExhausted:  ErrResourceExhausted,
	codes.Unavailable:        ErrUnavailable,
	codes.DeadlineExceeded:   ErrDeadlineExceeded,
	codes.Unimplemented:      ErrUnimplemented,
	codes.DataLoss:           ErrDataLoss,
	codes.Canceled:           ErrCanceled,
	codes.Internal:           ErrInternalServer,
	codes.Unknown:            ErrInternalServer,
}

// Error is what every call of this package fails with. errors.Is finds the Err values above, and context.Canceled or
// context.DeadlineExceeded where they apply.
type Error struct {
	Code       codes.Code
	Message    string
	RetryAfter time.Duration // what the server asked to wait; 0: nothing
}

func (e *Error) Error() string { return "vectron: " + e.Message }

// Is reports whether target is the kind of this error.
func (e *Error) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded
	case context.Canceled:
		return e.Code == codes.Canceled
	}
	return target == kinds[e.Code]
}

var (
	aboutTLS    = regexp.MustCompile("(?i)certificate|x509|tls|handshake")
	aboutClosed = regexp.MustCompile("(?i)reset|closed|broken pipe|EOF|preface")
)

func unreachable(host, message string) string {
	switch {
	case aboutTLS.MatchString(message):
		return fmt.Sprintf(" [TLS with %s failed: do RootCAs of WithTLS's config hold the authority that signed its certificate, is the host one of the certificate's names (else ServerName), does the server want a client's certificate (Certificates), and does this port speak TLS at all?]", host)
	case aboutClosed.MatchString(message):
		return fmt.Sprintf(" [%s closed the connection: it was restarted, or wants TLS (WithTLS), or with TLS a client's certificate (Certificates of its config)]", host)
	}
	address := "its gRPC address (default port 8081)"
	if strings.Contains(host, "://") {
		address = "its HTTP address, of WithHTTPURL (default port 8080)"
	}
	return fmt.Sprintf(" [cannot reach %s, or it is busy: is the server running, and is this %s?]", host, address)
}

var largeMessage = regexp.MustCompile("(?i)message (after decompression )?larger than") // gRPC's words, of either side

const largeAnswer = "the most of one answer" // the gateway's, of the hits of a search

// tooLarge reports whether it is about the size of one message or answer, so that a repeat fails the same way.
func (e *Error) tooLarge() bool {
	return e.Code == codes.ResourceExhausted && (largeMessage.MatchString(e.Message) || strings.Contains(e.Message, largeAnswer))
}

// advice is what to do about it, where the code alone tells.
func advice(code codes.Code, host, message string) string {
	switch code {
	case codes.Unavailable:
		return unreachable(host, message)
	case codes.Unauthenticated:
		return " [use WithAPIKey, or WithToken of a login; expired tokens need a new login]"
	case codes.PermissionDenied:
		return " [use a credential with more rights]"
	case codes.DeadlineExceeded:
		return fmt.Sprintf(" [no answer from %s in time and the outcome is unknown: use a context with a later deadline, and repeat a write with the same request id]", host)
	case codes.ResourceExhausted:
		if strings.Contains(message, largeAnswer) {
			return "" // it says what to ask for instead
		}
		if largeMessage.MatchString(message) {
			return " [send smaller batches or ask for less at once, or use WithMaxMessageBytes]"
		}
		return " [slow down: fewer calls at once, or smaller batches]"
	case codes.Unimplemented:
		return " [this server does not offer it]"
	case codes.Canceled:
		if strings.Contains(message, "client connection is closing") {
			return " [the client is closed; make a new one]"
		}
	}
	return ""
}

func newError(code codes.Code, message, host string, retryAfter time.Duration) *Error {
	if message == "" {
		message = code.String()
	}
	return &Error{Code: code, Message: message + advice(code, host, message), RetryAfter: retryAfter}
}

func invalid(format string, arguments ...any) *Error {
	return &Error{Code: codes.InvalidArgument, Message: fmt.Sprintf(format, arguments...)}
}

// fromRPC is the Error of a failed gRPC call.
func fromRPC(err error, host string) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	answer := status.Convert(err)
	if code := status.FromContextError(err).Code(); answer.Code() == codes.Unknown && code != codes.Unknown {
		answer = status.New(code, err.Error())
	}
	var retryAfter time.Duration
	for _, detail := range answer.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			retryAfter = info.GetRetryDelay().AsDuration()
		}
	}
	return newError(answer.Code(), answer.Message(), host, retryAfter)
}
