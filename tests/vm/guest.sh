# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the VM tests and the quick start: make an initramfs of chosen files
# and boot a kernel with it. Nothing is mounted, installed or written outside
# of the directory given.
#
# The caller sets top, the project's directory, and for another architecture than
# amd64 GUEST_ARCH and GUEST_USERLAND, a directory of tests/vm/userland.sh: such a
# guest has nothing else but a C library and the workloads and helpers.
GUEST_ARCH=${GUEST_ARCH:-amd64}

# The guest's programs that are not the project's.
GUEST_PROGRAMS="awk dd curl setpriv gzip sha256sum sort perf"

# guest_file TREE FILE [PATH]: copy FILE, to PATH in the guest (default: where it
# is), with the libraries that it is linked with.
guest_file()
{
	to=$1${3:-$2}
	mkdir -p "${to%/*}"
	cp -L "$2" "$to"
	# Static programs make ldd fail.
	for library in $(ldd "$2" 2>/dev/null |
			sed -n 's/.* => \(\/[^ ]*\) (.*/\1/p;
				s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p'); do
		[ ! -e "$1$library" ] || continue
		mkdir -p "$1${library%/*}"
		cp -L "$library" "$1$library"
	done
}

# guest_tree TREE BUILD: the userland, the project's programs, the workloads.
guest_tree()
{
	rm -rf "$1"
	mkdir -p "$1/usr/bin" "$1/usr/sbin" "$1/usr/lib" "$1/usr/lib64" \
		"$1/busybox" "$1/proc" "$1/sys" "$1/dev" "$1/tmp" "$1/run" \
		"$1/etc" "$1/var/lib" "$1/modules"
	for link in bin sbin lib lib64; do
		ln -s "usr/$link" "$1/$link"
	done
	if [ "$GUEST_ARCH" = amd64 ]; then
		guest_host_programs "$1" "$2"
	else
		cp "$GUEST_USERLAND/busybox" "$1/busybox/busybox"
		cp "$GUEST_USERLAND/dash" "$1/usr/bin/sh"
		cp -L /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 \
			/usr/aarch64-linux-gnu/lib/libc.so.6 "$1/usr/lib/"
		guest_work "$1" "$2/vm/work-$GUEST_ARCH"
	fi
	echo 'root:x:0:0::/:/bin/sh
nobody:x:65534:65534::/:/bin/sh' >"$1/etc/passwd"
	echo 'root:x:0:
nogroup:x:65534:' >"$1/etc/group"
	echo '127.0.0.1 localhost' >"$1/etc/hosts"
}

guest_host_programs()
{
	cp "$(command -v busybox)" "$1/busybox/busybox"
	# Not busybox: its shell would run its own dd rather than the real one.
	guest_file "$1" /bin/dash /usr/bin/sh
	for program in $GUEST_PROGRAMS; do
		guest_file "$1" "$(PATH=/usr/bin:/bin command -v "$program")" \
			"/usr/bin/$program"
	done
	for program in kstratad kstrata; do
		[ ! -e "$2/$program" ] ||
			guest_file "$1" "$2/$program" "/usr/bin/$program"
	done
	guest_work "$1" "$2/vm/work"
}

guest_work()
{
	for program in "$2"/*; do
		[ ! -x "$program" ] ||
			guest_file "$1" "$program" "/usr/bin/${program##*/}"
	done
}

# guest_modules TREE KERNEL MODULE...: modules of the kernel's package and what
# they need; the guest loads them in the order of /modules/order.
guest_modules()
{
	gm_tree=$1 gm_kernel=$2
	shift 2
	gm_release=$(ls "$gm_kernel/lib/modules")
	for module in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin modprobe -d "$gm_kernel" \
			-S "$gm_release" --show-depends "$module"
	done | while read -r how file rest; do
		[ "$how" = insmod ] || continue
		name=${file##*/}
		name=${name%.ko*}.ko
		[ ! -e "$gm_tree/modules/$name" ] || continue
		case $file in
		*.xz) xz -dc "$file" >"$gm_tree/modules/$name" ;;
		*) cp "$file" "$gm_tree/modules/$name" ;;
		esac
		echo "$name" >>"$gm_tree/modules/order"
	done
}

# guest_pack TREE IMAGE
guest_pack()
{
	(cd "$1" && find . | LC_ALL=C sort |
		cpio --quiet --owner=0:0 -o -H newc) >"$2"
}

# guest_boot KERNEL IMAGE CONSOLE RESULTS SECONDS OPTION...: run QEMU for at most
# so many seconds. The guest writes results to its second serial port.
guest_boot()
{
	gb_kernel=$1 gb_image=$2 gb_console=$3 gb_results=$4 gb_seconds=$5
	shift 5
	: >"$gb_console"
	: >"$gb_results"
	if [ "$GUEST_ARCH" = arm64 ]; then
		# Its second port is of another kind. To sign return addresses
		# as the architecture describes it takes an emulator for ever.
		set -- aarch64 -machine virt,gic-version=3 \
			-cpu max,pauth-impdef=on \
			-serial "file:$gb_console" \
			-chardev "file,id=results,path=$gb_results" \
			-device pci-serial,chardev=results "$@"
		gb_append="console=ttyAMA0 results=ttyS0"
	else
		# no_timer_check: on a busy host an emulated timer is late
		# enough for the kernel to take it for a broken one.
		set -- x86_64 -cpu max -serial "file:$gb_console" \
			-serial "file:$gb_results" "$@"
		gb_append="console=ttyS0 results=ttyS1 no_timer_check"
	fi
	gb_qemu=qemu-system-$1
	shift
	# --foreground: stay in the caller's process group, which is what is
	# killed when the tests are interrupted.
	timeout --foreground -k 5 "$gb_seconds" "$gb_qemu" \
		-m 1024 -nodefaults -display none -no-reboot \
		-kernel "$gb_kernel"/boot/vmlinuz-* -initrd "$gb_image" \
		-append "$gb_append panic=-1 oops=panic${GUEST_APPEND:+ $GUEST_APPEND}" \
		"$@" </dev/null
}

# guest_test: as guest_boot, and again where the emulator broke down. With a thread
# for each CPU, QEMU 7 can go on running a piece of code as it was while another
# CPU patched it, as the kernel does when a tracepoint gets its first probe: then
# the kernel meets a breakpoint that is gone. No module of ours writes to code.
guest_test()
{
	gt_left=3
	while :; do
		gt_rc=0
		guest_boot "$@" || gt_rc=$?
		gt_left=$((gt_left - 1))
		if [ $gt_left = 0 ] || ! grep -a -q 'Oops: int3:' "$3"; then
			return $gt_rc
		fi
		echo "# the emulator broke down; once more"
	done
}

# guest_splat CONSOLE: print what the kernel complained about; false if nothing.
guest_splat()
{
	grep -a -n -E 'BUG:|WARNING:|Oops|Kernel panic|INFO: .*(stall|blocked)|possible (recursive|circular|irq|deadlock)|suspicious RCU|soft lockup|hard LOCKUP|hung_task|blocked for more than|unreferenced object|general protection|kernel BUG|Call Trace:|UBSAN:|KASAN:|KCSAN:|ODEBUG:|refcount_t:|list_(add|del) corruption|sleeping function called|scheduling while atomic|Out of memory|segfault at' \
		"$1" | grep -v 'Spectre V2 : WARNING'
}
