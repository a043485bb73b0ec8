package vectron

import (
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"
)

const (
	maxJSONDepth = 32
	maxExactInt  = 1 << 53 // whole numbers up to here are exact as float64
)

// toStruct is a payload as a message. Errors name the path of what is no JSON.
func toStruct(payload map[string]any, where string) (*structpb.Struct, error) {
	fields := make(map[string]*structpb.Value, len(payload))
	for key, value := range payload {
		encoded, err := toValue(value, where+"."+key, 0)
		if err != nil {
			return nil, err
		}
		fields[key] = encoded
	}
	return &structpb.Struct{Fields: fields}, nil
}

func toValue(value any, where string, depth int) (*structpb.Value, error) {
	switch v := value.(type) {
	case nil:
		return structpb.NewNullValue(), nil
	case bool:
		return structpb.NewBoolValue(v), nil
	case string:
		if !utf8.ValidString(v) {
			return nil, invalid("%s: the string is no valid UTF-8", where)
		}
		return structpb.NewStringValue(v), nil
	case time.Time:
		return structpb.NewStringValue(v.Format(time.RFC3339Nano)), nil
	}
	if depth >= maxJSONDepth {
		return nil, invalid("%s: nested deeper than %d; flatten it", where, maxJSONDepth)
	}
	reflected := reflect.ValueOf(value)
	switch reflected.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return wholeNumber(float64(reflected.Int()), reflected.Int() > maxExactInt || reflected.Int() < -maxExactInt, value, where)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return wholeNumber(float64(reflected.Uint()), reflected.Uint() > maxExactInt, value, where)
	case reflect.Float32, reflect.Float64:
		if math.IsNaN(reflected.Float()) || math.IsInf(reflected.Float(), 0) {
			return nil, invalid("%s: %v is no JSON number; leave the field out or use nil", where, value)
		}
		return structpb.NewNumberValue(reflected.Float()), nil
	case reflect.String:
		return toValue(reflected.String(), where, depth)
	case reflect.Bool:
		return structpb.NewBoolValue(reflected.Bool()), nil
	case reflect.Slice, reflect.Array:
		return listValue(reflected, where, depth)
	case reflect.Map:
		return mapValue(reflected, where, depth)
	}
	return nil, invalid("%s: %T is no JSON value; use a string, number, bool, slice or map", where, value)
}

func wholeNumber(number float64, inexact bool, value any, where string) (*structpb.Value, error) {
	if inexact {
		return nil, invalid("%s: %v is beyond 2^53 and would be rounded; store it as a string", where, value)
	}
	return structpb.NewNumberValue(number), nil
}

func listValue(list reflect.Value, where string, depth int) (*structpb.Value, error) {
	values := make([]*structpb.Value, list.Len())
	for i := range values {
		encoded, err := toValue(list.Index(i).Interface(), where, depth+1)
		if err != nil {
			return nil, err
		}
		values[i] = encoded
	}
	return structpb.NewListValue(&structpb.ListValue{Values: values}), nil
}

func mapValue(object reflect.Value, where string, depth int) (*structpb.Value, error) {
	if object.Type().Key().Kind() != reflect.String {
		return nil, invalid("%s: keys are strings, not %s", where, object.Type().Key())
	}
	fields := make(map[string]*structpb.Value, object.Len())
	for entries := object.MapRange(); entries.Next(); {
		key := entries.Key().String()
		encoded, err := toValue(entries.Value().Interface(), where+"."+key, depth+1)
		if err != nil {
			return nil, err
		}
		fields[key] = encoded
	}
	return structpb.NewStructValue(&structpb.Struct{Fields: fields}), nil
}

// payloadOf is the typed payload; values that came as text only are strings.
func payloadOf(fields *structpb.Struct, text map[string]string) map[string]any {
	payload := make(map[string]any, len(text))
	for key, value := range text {
		payload[key] = value
	}
	for key, value := range fields.GetFields() {
		payload[key] = value.AsInterface()
	}
	return payload
}

// checkVector refuses what the server would, by the name in what.
func checkVector(vector []float32, what string) error {
	if len(vector) == 0 {
		return invalid("%s: the vector is empty", what)
	}
	for i, x := range vector {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return invalid("%s: component %d of the vector is %v; vectors must be finite", what, i, x)
		}
	}
	return nil
}

func pointName(id string) string { return fmt.Sprintf("point %q", id) }
