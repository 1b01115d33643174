package wire

import (
	"errors"
	"sync"
	"time"
	"unsafe"
)

// A time travels as seconds since 1970, nanoseconds, and its zone. The monotonic
// reading means nothing in another process and stays behind.
const (
	zoneUTC   = iota
	zoneLocal // of whichever process reads it
	zoneFixed // name, offset
	zoneNamed // name of the location, then name and offset at this time

	timeLeast = 8 + 4 + 1
)

func encodeTime(b *Buffer, v unsafe.Pointer) {
	t := *(*time.Time)(v)
	b.Uint64(uint64(t.Unix()))
	b.Uint32(uint32(t.Nanosecond()))
	loc := t.Location()
	switch loc {
	case time.UTC:
		b.Uint8(zoneUTC)
		return
	case time.Local:
		b.Uint8(zoneLocal)
		return
	}
	name, offset := t.Zone()
	if isFixed(t, name, offset) {
		b.Uint8(zoneFixed)
	} else {
		b.Uint8(zoneNamed)
		b.String(loc.String())
	}
	b.String(name)
	b.Uint64(uint64(offset))
}

// isFixed tells time.FixedZone("CET", 3600) from the location CET, which has summers.
func isFixed(t time.Time, name string, offset int) bool {
	if t.Location().String() != name {
		return false
	}
	for _, days := range []time.Duration{91, 182, 273} {
		if _, o := t.Add(days * 24 * time.Hour).Zone(); o != offset {
			return false
		}
	}
	return true
}

func decodeTime(r *Reader, v unsafe.Pointer) {
	seconds := int64(r.Uint64())
	nanoseconds := r.Uint32()
	if nanoseconds >= 1e9 {
		r.Fail(errors.New("wire: time with more than a second of nanoseconds: the message is damaged"))
	}
	zone := r.Uint8()
	location := ""
	if zone == zoneNamed {
		location = r.String()
	}
	t := time.Unix(seconds, int64(nanoseconds))
	switch zone {
	case zoneUTC:
		t = t.UTC()
	case zoneLocal:
	case zoneFixed, zoneNamed:
		name := r.String()
		offset := int(r.Uint64())
		if r.err != nil {
			return
		}
		t = t.In(zoneOf(t, location, name, offset))
	default:
		r.Fail(errors.New("wire: time in an unknown kind of zone: the message is damaged"))
	}
	if r.err == nil {
		*(*time.Time)(v) = t
	}
}

// locations holds *time.Location by name: equal names become equal pointers, so that
// such times stay equal by ==.
var locations sync.Map

// zoneOf finds the location, or makes a fixed zone when this host does not know it
// or knows it otherwise.
func zoneOf(t time.Time, location, name string, offset int) *time.Location {
	if location != "" {
		l, ok := locations.Load(location)
		if !ok {
			if loaded, err := time.LoadLocation(location); err == nil {
				l, _ = locations.LoadOrStore(location, loaded)
				ok = true
			}
		}
		if ok {
			l := l.(*time.Location)
			if _, o := t.In(l).Zone(); o == offset {
				return l
			}
		}
	}
	return time.FixedZone(name, offset)
}
