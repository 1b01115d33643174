package mpi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

// function is the address of a C function.
type function uintptr

// library is a loaded MPI library. Its methods are the calls that the executors need;
// only one may run at a time, since they share out.
type library struct {
	abi
	file    string
	version string
	family  family // how it is called
	maker   family // whose launcher it needs, 0 if unknown

	out outputs

	initThread, queryThread, initialized, finalize, abort             function
	getLibraryVersion, errorString                                    function
	commRank, commSize, commIdup, commSplit, commFree, setErrhandler  function
	isend, irecv, send, recv, improbe, imrecv, test, getCount, ibcast function
	ibarrier, getAttr, getParent, spawn, merge, cancel, testCancelled function
	disconnect, infoCreate, infoSet, infoFree                         function
}

// outputs is where C functions write. It lies on the heap, which does not move.
type outputs struct {
	flag, number int32
	handle       uint64 // a family with 32-bit handles writes the lower half
	other        uint64
	address      uintptr
	status       [statusSize]byte
	text         [versionSize]byte
}

func (l *library) functions() map[string]*function {
	return map[string]*function{
		"MPI_Init_thread": &l.initThread, "MPI_Query_thread": &l.queryThread,
		"MPI_Initialized": &l.initialized, "MPI_Finalize": &l.finalize, "MPI_Abort": &l.abort,
		"MPI_Get_library_version": &l.getLibraryVersion, "MPI_Error_string": &l.errorString,
		"MPI_Comm_rank": &l.commRank, "MPI_Comm_size": &l.commSize, "MPI_Comm_idup": &l.commIdup, "MPI_Comm_split": &l.commSplit,
		"MPI_Comm_free": &l.commFree, "MPI_Comm_set_errhandler": &l.setErrhandler,
		"MPI_Isend": &l.isend, "MPI_Irecv": &l.irecv, "MPI_Send": &l.send, "MPI_Recv": &l.recv,
		"MPI_Improbe": &l.improbe, "MPI_Imrecv": &l.imrecv, "MPI_Test": &l.test, "MPI_Get_count": &l.getCount,
		"MPI_Ibcast": &l.ibcast, "MPI_Ibarrier": &l.ibarrier, "MPI_Comm_get_attr": &l.getAttr,
		"MPI_Comm_get_parent": &l.getParent, "MPI_Comm_spawn": &l.spawn,
		"MPI_Cancel": &l.cancel, "MPI_Test_cancelled": &l.testCancelled,
		"MPI_Intercomm_merge": &l.merge, "MPI_Comm_disconnect": &l.disconnect,
		"MPI_Info_create": &l.infoCreate, "MPI_Info_set": &l.infoSet, "MPI_Info_free": &l.infoFree,
	}
}

// text is the string that the last call has left.
func (l *library) text() string {
	text, _, _ := bytes.Cut(l.out.text[:], []byte{0})
	return strings.TrimSpace(string(text))
}

// LibraryError says that no MPI library was found that suits, and where it was
// looked for.
type LibraryError struct {
	Launcher string   // that started this process, "" without one
	Named    bool     // EnvLibrary names the file, and no other is looked for
	Tried    []string // each file with the reason why not
}

func (e *LibraryError) Error() string {
	if e.Named {
		return fmt.Sprintf("mpi: the library that %s names does not load: %s", EnvLibrary, strings.Join(e.Tried, ", "))
	}
	suits := ""
	if e.Launcher != "" {
		suits = " that suits " + e.Launcher
	}
	return fmt.Sprintf("mpi: no MPI library%s was found; install Open MPI or MPICH (Debian, Ubuntu: apt-get install openmpi-bin), load its module, or name the file with %s; tried\n\t%s",
		suits, EnvLibrary, strings.Join(e.Tried, "\n\t"))
}

// Unwrap is [errors.ErrUnsupported], there is no MPI on this machine, or nil if Named.
func (e *LibraryError) Unwrap() error {
	if e.Named {
		return nil
	}
	return errors.ErrUnsupported
}

// check makes an error of what a call has returned.
func (l *library) check(call string, code int) error {
	if code == 0 {
		return nil
	}
	clear(l.out.text[:stringSize])
	l.errorString.call(uintptr(uint32(code)), uintptr(unsafe.Pointer(&l.out.text)), uintptr(unsafe.Pointer(&l.out.number)))
	return fmt.Errorf("mpi: MPI_%s: %s (code %d)", call, strings.ReplaceAll(l.text(), "\n", "; "), code)
}

// start initialises MPI with the highest level of thread support that it has, up to
// the one asked for, and returns the one it has.
func (l *library) start(level int) (int, error) {
	l.initialized.call(uintptr(unsafe.Pointer(&l.out.flag)))
	if l.out.flag != 0 {
		err := l.check("Query_thread", l.queryThread.call(uintptr(unsafe.Pointer(&l.out.number))))
		return l.level(int(l.out.number)), err
	}
	err := l.check("Init_thread", l.initThread.call(0, 0, uintptr(l.threads[level]), uintptr(unsafe.Pointer(&l.out.number))))
	return l.level(int(l.out.number)), err
}

func (l *library) rank(comm handle) (int, error) {
	err := l.check("Comm_rank", l.commRank.call(comm, uintptr(unsafe.Pointer(&l.out.number))))
	return int(l.out.number), err
}

func (l *library) size(comm handle) (int, error) {
	err := l.check("Comm_size", l.commSize.call(comm, uintptr(unsafe.Pointer(&l.out.number))))
	return int(l.out.number), err
}

// attribute is an integer that hangs on a communicator.
func (l *library) attribute(comm handle, key int) (int, bool) {
	code := l.getAttr.call(comm, uintptr(key), uintptr(unsafe.Pointer(&l.out.address)), uintptr(unsafe.Pointer(&l.out.flag)))
	if code != 0 || l.out.flag == 0 || l.out.address == 0 {
		return 0, false
	}
	return int(**(**int32)(unsafe.Pointer(&l.out.address))), true
}

// request is an operation under way. It holds on to the memory that MPI reads or
// writes meanwhile.
type request struct {
	handle  uint64
	memory  []byte
	counted bool        // count is wanted
	count   int         // bytes received, -1 when it was given up
	pooled  bool        // memory is a buffer of the engine's
	ended   func(error) // what the poller calls at the end, or nil
	comm    *uint64     // that a duplication fills in
}

// done says whether an operation has ended, and moves all of them on.
func (l *library) done(r *request) (bool, error) {
	code := l.test.call(uintptr(unsafe.Pointer(&r.handle)), uintptr(unsafe.Pointer(&l.out.flag)), uintptr(unsafe.Pointer(&l.out.status)))
	if code != 0 {
		return true, l.check("Test", code)
	}
	done := l.out.flag != 0
	if done && r.counted {
		return true, l.countOf(r)
	}
	return done, nil
}

// countOf notes how much the operation has received that the status is about.
func (l *library) countOf(r *request) error {
	status := uintptr(unsafe.Pointer(&l.out.status))
	err := l.check("Test_cancelled", l.testCancelled.call(status, uintptr(unsafe.Pointer(&l.out.flag))))
	if r.count = -1; err != nil || l.out.flag != 0 {
		return err
	}
	err = l.check("Get_count", l.getCount.call(status, l.bytes, uintptr(unsafe.Pointer(&l.out.number))))
	r.count = int(l.out.number)
	return err
}

// giveUp has an operation to receive end, without a message if none has come.
func (l *library) giveUp(r *request) error {
	return l.check("Cancel", l.cancel.call(uintptr(unsafe.Pointer(&r.handle))))
}

// startSend sends p, of at most 2 GiB.
func (l *library) startSend(r *request, p []byte, to, tag int, comm handle) error {
	r.memory = p
	return l.check("Isend", l.isend.call(uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), l.bytes,
		uintptr(to), uintptr(tag), comm, uintptr(unsafe.Pointer(&r.handle))))
}

// startReceive receives into p what comes from a rank under a tag.
func (l *library) startReceive(r *request, p []byte, from, tag int, comm handle) error {
	r.memory = p
	return l.check("Irecv", l.irecv.call(uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), l.bytes,
		uintptr(from), uintptr(tag), comm, uintptr(unsafe.Pointer(&r.handle))))
}

// arrival is a message that has arrived and is taken out of MPI's queue, but not
// received yet.
type arrival struct {
	message uint64
	from    int
	tag     int
	size    int
}

// probe takes the next message of a communicator from MPI's queue, if there is one.
func (l *library) probe(comm handle) (a arrival, ok bool, err error) {
	status := uintptr(unsafe.Pointer(&l.out.status))
	l.out.handle = 0
	code := l.improbe.call(uintptr(l.anySource), uintptr(l.anyTag), comm,
		uintptr(unsafe.Pointer(&l.out.flag)), uintptr(unsafe.Pointer(&l.out.handle)), status)
	if code != 0 || l.out.flag == 0 {
		return arrival{}, false, l.check("Improbe", code)
	}
	a.message = l.out.handle
	a.from = int(int32(binary.NativeEndian.Uint32(l.out.status[l.statusSource:])))
	a.tag = int(int32(binary.NativeEndian.Uint32(l.out.status[l.statusTag:])))
	code = l.getCount.call(status, l.bytes, uintptr(unsafe.Pointer(&l.out.number)))
	a.size = int(l.out.number)
	return a, true, l.check("Get_count", code)
}

// receive receives a message that probe has taken into p, which has its size.
func (l *library) receive(r *request, p []byte, message uint64) error {
	r.memory = p
	l.out.handle = message
	return l.check("Imrecv", l.imrecv.call(uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), l.bytes,
		uintptr(unsafe.Pointer(&l.out.handle)), uintptr(unsafe.Pointer(&r.handle))))
}

// startBroadcast sends p from the root to all ranks, which receive it into p.
func (l *library) startBroadcast(r *request, p []byte, root int, comm handle) error {
	r.memory = p
	return l.check("Ibcast", l.ibcast.call(uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), l.bytes,
		uintptr(root), comm, uintptr(unsafe.Pointer(&r.handle))))
}

func (l *library) startBarrier(r *request, comm handle) error {
	return l.check("Ibarrier", l.ibarrier.call(comm, uintptr(unsafe.Pointer(&r.handle))))
}

// startDuplicate makes a communicator of the same ranks, which r.comm has at the end.
func (l *library) startDuplicate(r *request, comm handle) error {
	r.comm = new(uint64)
	return l.check("Comm_idup", l.commIdup.call(comm, uintptr(unsafe.Pointer(r.comm)), uintptr(unsafe.Pointer(&r.handle))))
}

func (l *library) split(comm handle, color, key int) (handle, error) {
	l.out.handle = 0
	if color < 0 {
		color = l.undefined
	}
	err := l.check("Comm_split", l.commSplit.call(comm, uintptr(color), uintptr(key), uintptr(unsafe.Pointer(&l.out.handle))))
	return handle(l.out.handle), err
}

// returnErrors has calls on a communicator return errors instead of ending the job.
func (l *library) returnErrors(comm handle) error {
	return l.check("Comm_set_errhandler", l.setErrhandler.call(comm, l.errorsReturn))
}

func (l *library) free(comm handle) error {
	l.out.handle = uint64(comm)
	return l.check("Comm_free", l.commFree.call(uintptr(unsafe.Pointer(&l.out.handle))))
}

// parent is the communicator to those who spawned this process, false if nobody did.
func (l *library) parent() (handle, bool) {
	l.out.handle = 0
	code := l.getParent.call(uintptr(unsafe.Pointer(&l.out.handle)))
	comm := handle(l.out.handle)
	return comm, code == 0 && comm != l.commNull
}

// spawnWorkers starts n processes of a program. It returns when they have initialised
// MPI, with a communicator of this process, rank 0, and them; and the one to disconnect.
func (l *library) spawnWorkers(program string, arguments []string, n int, info map[string]string) (all, between handle, err error) {
	text := func(s string) *byte { return unsafe.SliceData(append([]byte(s), 0)) }
	name := text(program)
	argv := make([]*byte, 0, len(arguments)+1)
	for _, a := range arguments {
		argv = append(argv, text(a))
	}
	argv = append(argv, nil)
	keys := l.infoNull
	if len(info) > 0 {
		l.out.handle = 0
		if err := l.check("Info_create", l.infoCreate.call(uintptr(unsafe.Pointer(&l.out.handle)))); err != nil {
			return 0, 0, err
		}
		keys = handle(l.out.handle)
		defer func() {
			l.out.handle = uint64(keys)
			l.infoFree.call(uintptr(unsafe.Pointer(&l.out.handle)))
		}()
		for key, value := range info {
			if err := l.check("Info_set", l.infoSet.call(keys, uintptr(unsafe.Pointer(text(key))), uintptr(unsafe.Pointer(text(value))))); err != nil {
				return 0, 0, err
			}
		}
	}
	codes := make([]int32, n)
	l.out.other = 0
	err = l.check("Comm_spawn", l.spawn.call(uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&argv[0])), uintptr(n), keys, 0,
		l.commSelf, uintptr(unsafe.Pointer(&l.out.other)), uintptr(unsafe.Pointer(&codes[0]))))
	if err != nil {
		return 0, 0, err
	}
	between = handle(l.out.other)
	all, err = l.mergeWith(between, 0)
	return all, between, err
}

// mergeWith makes one communicator of the two sides of another, those with high 0
// first.
func (l *library) mergeWith(between handle, high int) (handle, error) {
	l.out.handle = 0
	err := l.check("Intercomm_merge", l.merge.call(between, uintptr(high), uintptr(unsafe.Pointer(&l.out.handle))))
	return handle(l.out.handle), err
}

// leave disconnects from the processes at the other side of a communicator.
func (l *library) leave(between handle) error {
	l.out.handle = uint64(between)
	return l.check("Comm_disconnect", l.disconnect.call(uintptr(unsafe.Pointer(&l.out.handle))))
}

// echo sends p from rank 0 to rank 1 and back.
func (l *library) echo(p []byte, rank int, comm handle) error {
	const tag = 7
	data, size := unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p))
	status := unsafe.Pointer(&l.out.status)
	if rank == 0 {
		if err := l.check("Send", l.send.call(uintptr(data), size, l.bytes, 1, tag, comm)); err != nil {
			return err
		}
		return l.check("Recv", l.recv.call(uintptr(data), size, l.bytes, 1, tag, comm, uintptr(status)))
	}
	if err := l.check("Recv", l.recv.call(uintptr(data), size, l.bytes, 0, tag, comm, uintptr(status))); err != nil {
		return err
	}
	return l.check("Send", l.send.call(uintptr(data), size, l.bytes, 0, tag, comm))
}
