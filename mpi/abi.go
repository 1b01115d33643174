package mpi

import "strings"

// family is one of the binary interfaces that MPI libraries have.
type family uint8

const (
	openMPI  family = iota + 1 // Open MPI 4 and 5: handles are addresses
	mpich                      // MPICH, Intel MPI, Cray MPICH, MVAPICH: handles are numbers
	standard                   // the ABI of MPI 5: handles are small numbers
)

func (f family) String() string {
	switch f {
	case openMPI:
		return "Open MPI"
	case mpich:
		return "MPICH"
	case standard:
		return "MPI standard ABI"
	}
	return "unknown"
}

// abi is what differs between the families. It was compared with the headers
// of Open MPI 4.0.0 to 5.0.10, MPICH 3.1 to 5.0.1 and the MPI Forum's ABI 1.0.
type abi struct {
	commWorld, commSelf, commNull handle
	bytes                         handle // the data type MPI_BYTE
	errorsReturn                  handle
	infoNull                      handle

	anySource, anyTag, undefined int
	statusSource, statusTag      int    // offsets in a status
	threads                      [4]int // single, funneled, serialized, multiple
	tagUB                        int    // key of an attribute
}

// handle is a communicator, a request and so on: an address or a number, which
// always fits a register.
type handle = uintptr

// statusSize holds a status of every family, and versionSize a version string.
const (
	statusSize  = 64
	versionSize = 8192
	stringSize  = 512
)

var mpichABI = abi{
	commWorld: 0x44000000, commSelf: 0x44000001, commNull: 0x04000000,
	bytes: 0x4c00010d, errorsReturn: 0x54000001, infoNull: 0x1c000000,
	anySource: -2, anyTag: -1, undefined: -32766,
	statusSource: 8, statusTag: 12,
	threads: [4]int{0, 1, 2, 3},
	tagUB:   0x64400001,
}

var standardABI = abi{
	commWorld: 0x101, commSelf: 0x102, commNull: 0x100,
	bytes: 0x247, errorsReturn: 0x143, infoNull: 0x130,
	anySource: -1, anyTag: -2, undefined: -32766,
	statusSource: 0, statusTag: 4,
	threads: [4]int{0, 1024, 2048, 4096},
	tagUB:   501,
}

// openMPIABI has the addresses of the library's own objects for handles.
func openMPIABI(symbol func(string) handle) abi {
	return abi{
		commWorld: symbol("ompi_mpi_comm_world"), commSelf: symbol("ompi_mpi_comm_self"), commNull: symbol("ompi_mpi_comm_null"),
		bytes: symbol("ompi_mpi_byte"), errorsReturn: symbol("ompi_mpi_errors_return"), infoNull: symbol("ompi_mpi_info_null"),
		anySource: -1, anyTag: -1, undefined: -32766,
		statusSource: 0, statusTag: 4,
		threads: [4]int{0, 1, 2, 3},
		tagUB:   0,
	}
}

// threadNames are the levels of thread support, lowest first.
var threadNames = [4]string{"single", "funneled", "serialized", "multiple"}

// level is the place of a family's thread constant in threadNames.
func (a *abi) level(constant int) int {
	for i := len(a.threads) - 1; i > 0; i-- {
		if constant >= a.threads[i] {
			return i
		}
	}
	return 0
}

// familyOfVersion tells from a library's own words whose launcher it needs, which
// the standard ABI does not show.
func familyOfVersion(version string) family {
	switch {
	case strings.HasPrefix(version, "Open MPI"):
		return openMPI
	case strings.Contains(version, "MPICH"), strings.Contains(version, "Intel(R) MPI"), strings.Contains(version, "MVAPICH"):
		return mpich
	}
	return 0
}

// candidates are the files in which a library is looked for, those that suit the
// launcher first.
func candidates(suits family, goos string) []string {
	if goos == "darwin" {
		open := []string{"libmpi.40.dylib", "/opt/homebrew/lib/libmpi.dylib"}
		other := []string{"libmpi.12.dylib", "/opt/homebrew/opt/mpich/lib/libmpi.dylib"}
		if suits == mpich {
			return append(append(other, "libmpi_abi.dylib", "libmpi.dylib"), open...)
		}
		return append(append(open, "libmpi_abi.dylib", "libmpi.dylib"), other...)
	}
	// Debian has MPICH under a name of its own.
	open, other := []string{"libmpi.so.40"}, []string{"libmpi.so.12", "libmpich.so.12"}
	if suits == mpich {
		return append(append(other, "libmpi_abi.so.1", "libmpi.so"), open...)
	}
	return append(append(open, "libmpi_abi.so.1", "libmpi.so"), other...)
}
