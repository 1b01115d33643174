//go:build !static && ((linux && !android) || darwin) && (amd64 || arm64)

package linalg

import (
	"fmt"
	"unsafe"
)

// routines are the Fortran routines: every argument is an address, and the lengths of
// strings, here 1, follow as hidden arguments. Integers are 64 bits wide, of which a
// library with 32-bit ones uses the lower half: the machines are little-endian.
type routines struct {
	gesdd func(job *byte, m, n *int64, a *float64, lda *int64, s, u *float64, ldu *int64, vt *float64, ldvt *int64,
		work *float64, lwork, iwork, info *int64, jobLen uintptr)
	geev func(left, right *byte, n *int64, a *float64, lda *int64, wr, wi, vl *float64, ldvl *int64, vr *float64, ldvr *int64,
		work *float64, lwork, info *int64, leftLen, rightLen uintptr)
	syevd func(job, triangle *byte, n *int64, a *float64, lda *int64, w, work *float64, lwork, iwork, liwork, info *int64,
		jobLen, triangleLen uintptr)
	gelqf func(m, n *int64, a *float64, lda *int64, tau, work *float64, lwork, info *int64)
	orglq func(m, n, k *int64, a *float64, lda *int64, tau, work *float64, lwork, info *int64)
	potrf func(triangle *byte, n *int64, a *float64, lda, info *int64, triangleLen uintptr)
	getrf func(m, n *int64, a *float64, lda, pivots, info *int64)
	getrs func(transpose *byte, n, columns *int64, a *float64, lda, pivots *int64, b *float64, ldb, info *int64, transposeLen uintptr)
}

func (r *routines) byName() map[string]any {
	return map[string]any{
		"dgesdd": &r.gesdd, "dgeev": &r.geev, "dsyevd": &r.syevd, "dgelqf": &r.gelqf,
		"dorglq": &r.orglq, "dpotrf": &r.potrf, "dgetrf": &r.getrf, "dgetrs": &r.getrs,
	}
}

func (l *native) info() BackendInfo {
	about := l.about
	about.Threads = l.gate.allowed()
	return about
}

// letter gives the address of a one-letter argument.
func letter(b byte) *byte { return &b }

func integer(n int) *int64 { return new(int64(n)) }

// stride is the distance between columns, which must not be 0.
func stride(n int) *int64 { return integer(max(1, n)) }

func first(s []float64) *float64 { return unsafe.SliceData(s) }

// pivots and other arrays of integers are not looked at here: that they are too long
// for 32-bit integers does not matter.
func integers(n int) *int64 { return unsafe.SliceData(make([]int64, max(1, n))) }

// addressable refuses sizes beyond the library's integers.
func (l *native) addressable(sizes ...int) error {
	for _, size := range sizes {
		if int64(size) > l.max {
			return fmt.Errorf("%w: it takes an array of %d, and this %s has 32-bit integers; choose a library that has 64-bit integers with %s",
				ErrShape, size, l.about.Name, EnvBackend)
		}
	}
	return nil
}

// run runs a routine that wants work space: once with lwork -1, for which it puts the
// best size into work[0], and then with that. It returns the routine's info. The work
// space is square in some routines: what it must have, by their documentation, tells whether
// the library's integers would overflow.
func (l *native) run(name string, least int, routine func(work *float64, lwork, info *int64)) (int, error) {
	if err := l.addressable(least); err != nil {
		return 0, err
	}
	size, info := make([]float64, 1), new(int64)
	routine(first(size), integer(-1), info)
	if failed, err := l.outcome(name, *info); failed != 0 || err != nil {
		return failed, err
	}
	n := max(1, least, int(size[0]))
	if err := l.addressable(n); err != nil {
		return 0, err
	}
	*info = 0
	routine(first(make([]float64, n)), integer(n), info)
	return l.outcome(name, *info)
}

// outcome reads info, which a library may have written in 32 bits. Below 0 it means
// that an argument was wrong: a mistake of this package, or of the library's kind.
func (l *native) outcome(name string, info int64) (int, error) {
	if l.max < 1<<31 {
		info = int64(int32(info))
	}
	if info < 0 {
		return 0, fmt.Errorf("%s of %s refused its argument %d", name, l.about.Library, -info)
	}
	return int(info), nil
}

// failed gives the meaning of an info above 0.
func failed(meaning error) func(info int, err error) error {
	return func(info int, err error) error {
		if err == nil && info > 0 {
			err = meaning
		}
		return err
	}
}

func (l *native) svd(how extent, m, u matrix, s []float64, vt matrix) error {
	if err := l.addressable(m.rows, m.cols); err != nil {
		return err
	}
	l.gate.enter()
	defer l.gate.leave()
	// The transpose of U·S·VT is VTᵀ·S·Uᵀ: the factors change places, and each is
	// again its own transpose to Fortran.
	job := letter(map[extent]byte{full: 'A', thin: 'S', valuesOnly: 'N'}[how])
	k := min(m.rows, m.cols)
	least := 7*k + 3*max(m.rows, m.cols)
	if how != valuesOnly {
		least += 4 * k * k
	}
	iwork := integers(8 * k)
	return failed(ErrNotConverged)(l.run("dgesdd", least, func(work *float64, lwork, info *int64) {
		l.gesdd(job, integer(m.cols), integer(m.rows), first(m.data), stride(m.cols), first(s),
			first(vt.data), stride(vt.cols), first(u.data), stride(u.cols), work, lwork, iwork, info, 1)
	}))
}

func (l *native) eigen(m matrix, wr, wi []float64, v matrix) error {
	if err := l.addressable(m.rows); err != nil {
		return err
	}
	l.gate.enter()
	defer l.gate.leave()
	n, a, vectors := integer(m.rows), m.transpose(), newMatrix(v.rows, v.cols)
	left, right := letter('N'), letter('N')
	if len(v.data) > 0 {
		*right = 'V'
	}
	err := failed(ErrNotConverged)(l.run("dgeev", 4*m.rows, func(work *float64, lwork, info *int64) {
		l.geev(left, right, n, first(a.data), n, first(wr), first(wi), nil, integer(1), first(vectors.data), n, work, lwork, info, 1, 1)
	}))
	copy(v.data, vectors.transpose().data)
	return err
}

func (l *native) eigenSym(m matrix, w []float64, vectors bool) error {
	if err := l.addressable(m.rows); err != nil {
		return err
	}
	l.gate.enter()
	defer l.gate.leave()
	n, job, triangle := integer(m.rows), letter('N'), letter('L')
	if vectors {
		*job = 'V'
	}
	// The least that the routine's documentation asks for.
	liwork, least := 3+5*m.rows, 1+6*m.rows+2*m.rows*m.rows
	iwork := integers(liwork)
	err := failed(ErrNotConverged)(l.run("dsyevd", least, func(work *float64, lwork, info *int64) {
		want := integer(liwork)
		if *lwork < 0 {
			*want = -1
		}
		l.syevd(job, triangle, n, first(m.data), n, first(w), work, lwork, iwork, want, info, 1, 1)
	}))
	if vectors {
		copy(m.data, m.transpose().data)
	}
	return err
}

func (l *native) qr(m, q matrix) error {
	if err := l.addressable(m.rows, m.cols); err != nil {
		return err
	}
	l.gate.enter()
	defer l.gate.leave()
	// To Fortran this is the LQ factorisation of the transpose.
	k := min(m.rows, m.cols)
	tau := make([]float64, k)
	if _, err := l.run("dgelqf", m.cols, func(work *float64, lwork, info *int64) {
		l.gelqf(integer(m.cols), integer(m.rows), first(m.data), integer(m.cols), first(tau), work, lwork, info)
	}); err != nil {
		return err
	}
	for i := range m.rows {
		copy(q.data[i*q.cols:i*q.cols+k], m.data[i*m.cols:i*m.cols+k])
	}
	_, err := l.run("dorglq", q.cols, func(work *float64, lwork, info *int64) {
		l.orglq(integer(q.cols), integer(q.rows), integer(k), first(q.data), integer(q.cols), first(tau), work, lwork, info)
	})
	return err
}

func (l *native) cholesky(m matrix) error {
	if err := l.addressable(m.rows); err != nil {
		return err
	}
	l.gate.enter()
	defer l.gate.leave()
	// The lower triangle is Fortran's upper, and L its Lᵀ.
	n, info := integer(m.rows), new(int64)
	l.potrf(letter('U'), n, first(m.data), n, info, 1)
	return failed(ErrNotPositiveDefinite)(l.outcome("dpotrf", *info))
}

func (l *native) solve(m, b matrix) error {
	if err := l.addressable(m.rows, b.cols); err != nil {
		return err
	}
	l.gate.enter()
	defer l.gate.leave()
	n, info, pivots := integer(m.rows), new(int64), integers(m.rows)
	l.getrf(n, n, first(m.data), n, pivots, info)
	if err := failed(ErrSingular)(l.outcome("dgetrf", *info)); err != nil {
		return err
	}
	x := b.transpose()
	l.getrs(letter('T'), n, integer(b.cols), first(m.data), n, pivots, first(x.data), n, info, 1)
	copy(b.data, x.transpose().data)
	_, err := l.outcome("dgetrs", *info)
	return err
}
