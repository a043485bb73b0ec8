package vectron

import (
	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/vectron-db/vectron/sdk/go/vectronpb"
)

// Filter is a condition on the payload or id of a point, or a group of them. Make one with Field, HasID, All, Any, Not, AtLeast.
//
//	cheap := vectron.Field("section").Eq("sound").And(vectron.Field("size_kb").Lt(500))
//
// A filter that was given a value that is no JSON carries that error; the call that uses the filter returns it.
type Filter struct {
	test  *pb.Condition // nil: group
	group *pb.Filter
	err   error
}

// Path is a payload path such as "a.b[].c"; [] goes into every element of an array.
type Path string

// Field begins a condition on a payload path. Tests are strict about types: "1" is no 1, and true is no number.
func Field(path string) Path { return Path(path) }

func (p Path) test(condition *pb.Condition) *Filter {
	condition.Field = string(p)
	filter := &Filter{test: condition}
	if p == "" {
		filter.err = invalid("a filter needs a path: Field(\"section\"), not Field(\"\")")
	}
	return filter
}

func (p Path) match(value any) *Filter {
	encoded, err := toValue(value, "filter on "+string(p), 0)
	filter := p.test(&pb.Condition{Match: encoded})
	if err != nil {
		filter.err = err
	}
	return filter
}

// Eq: equal to value, a string, number, bool or time.Time.
func (p Path) Eq(value any) *Filter { return p.match(value) }

// Ne: not equal, or absent.
func (p Path) Ne(value any) *Filter { return Not(p.match(value)) }

// OneOf: equal to any of the values.
func (p Path) OneOf(values ...any) *Filter { return p.match(values) }

// Lt: below value, a number, an RFC 3339 string or a time.Time; so for the others.
func (p Path) Lt(value any) *Filter { return p.bounds(nil, nil, value, nil) }

// Lte: at most value.
func (p Path) Lte(value any) *Filter { return p.bounds(nil, nil, nil, value) }

// Gt: above value.
func (p Path) Gt(value any) *Filter { return p.bounds(value, nil, nil, nil) }

// Gte: at least value.
func (p Path) Gte(value any) *Filter { return p.bounds(nil, value, nil, nil) }

// Between: low <= value <= high.
func (p Path) Between(low, high any) *Filter { return p.bounds(nil, low, nil, high) }

func (p Path) bounds(gt, gte, lt, lte any) *Filter {
	condition := &pb.Condition{Range: &pb.Range{}}
	filter := p.test(condition)
	bound := func(value any) *structpb.Value {
		if value == nil {
			return nil
		}
		encoded, err := toValue(value, "filter on "+string(p), 0)
		if err != nil {
			filter.err = err
		}
		return encoded
	}
	condition.Range.Gt, condition.Range.Gte = bound(gt), bound(gte)
	condition.Range.Lt, condition.Range.Lte = bound(lt), bound(lte)
	if gt == nil && gte == nil && lt == nil && lte == nil {
		filter.err = invalid("filter on %s: a bound is nil", p)
	}
	return filter
}

// Exists: the path yields a value, null included.
func (p Path) Exists() *Filter { yes := true; return p.test(&pb.Condition{Exists: &yes}) }

// IsEmpty: the path yields nothing, or only null, "", [] or {}.
func (p Path) IsEmpty() *Filter { yes := true; return p.test(&pb.Condition{IsEmpty: &yes}) }

// HasID: the point's id is one of these.
func HasID(ids ...string) *Filter { return &Filter{test: &pb.Condition{HasId: ids}} }

// All: every part holds; without parts, everything passes.
func All(parts ...*Filter) *Filter {
	group := &pb.Filter{}
	for _, part := range parts {
		if part.group != nil && len(part.group.Should) == 0 {
			group.Must = append(group.Must, part.group.Must...)
			group.MustNot = append(group.MustNot, part.group.MustNot...)
		} else {
			group.Must = append(group.Must, part.condition())
		}
	}
	return &Filter{group: group, err: firstError(parts)}
}

// Any: at least one part holds.
func Any(parts ...*Filter) *Filter {
	group := &pb.Filter{}
	for _, part := range parts {
		if g := part.group; g != nil && len(g.Should) > 0 && len(g.Must)+len(g.MustNot) == 0 && g.MinShould == 0 {
			group.Should = append(group.Should, g.Should...)
		} else {
			group.Should = append(group.Should, part.condition())
		}
	}
	filter := &Filter{group: group, err: firstError(parts)}
	if len(parts) == 0 {
		filter.err = invalid("Any() needs at least one part")
	}
	return filter
}

// Not: none of the parts holds.
func Not(parts ...*Filter) *Filter {
	return &Filter{group: &pb.Filter{MustNot: conditions(parts)}, err: firstError(parts)}
}

// AtLeast: count or more of the parts hold.
func AtLeast(count int, parts ...*Filter) *Filter {
	filter := &Filter{group: &pb.Filter{Should: conditions(parts), MinShould: uint32(max(count, 0))}, err: firstError(parts)}
	if count < 1 || count > len(parts) {
		filter.err = invalid("AtLeast(%d) of %d parts: the count must be from 1 to %d", count, len(parts), len(parts))
	}
	return filter
}

// And: this and the others hold.
func (f *Filter) And(others ...*Filter) *Filter { return All(append([]*Filter{f}, others...)...) }

// Or: this or one of the others holds.
func (f *Filter) Or(others ...*Filter) *Filter { return Any(append([]*Filter{f}, others...)...) }

func (f *Filter) condition() *pb.Condition {
	if f.test != nil {
		return f.test
	}
	return &pb.Condition{Filter: f.group}
}

func (f *Filter) message() (*pb.Filter, error) {
	if f == nil {
		return nil, nil
	}
	if f.err != nil {
		return nil, f.err
	}
	if f.group != nil {
		return f.group, nil
	}
	return &pb.Filter{Must: []*pb.Condition{f.test}}, nil
}

func conditions(parts []*Filter) []*pb.Condition {
	made := make([]*pb.Condition, len(parts))
	for i, part := range parts {
		made[i] = part.condition()
	}
	return made
}

func firstError(parts []*Filter) error {
	for _, part := range parts {
		if part.err != nil {
			return part.err
		}
	}
	return nil
}
