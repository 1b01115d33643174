package cores

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// memoryStatus is MEMORYSTATUSEX of the Windows API.
type memoryStatus struct {
	length                                   uint32
	load                                     uint32
	totalPhys, availPhys                     uint64
	totalPageFile, availPageFile             uint64
	totalVirtual, availVirtual, availExtVirt uint64
}

func physicalMemory() uint64 {
	var status memoryStatus
	status.length = uint32(unsafe.Sizeof(status))
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, _ := proc.Call(uintptr(unsafe.Pointer(&status))); ok == 0 {
		return 0
	}
	return status.totalPhys
}
