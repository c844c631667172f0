// SPDX-License-Identifier: Apache-2.0

package main

import "syscall"

func mark(what uintptr) {
	// No kernel has this system call.
	syscall.RawSyscall(0x6b73, what, 0, 0)
}
