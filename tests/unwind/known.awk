# SPDX-License-Identifier: Apache-2.0
#
# Folded stacks of one program of tests/unwind/programs: are they what is known?
#
#   awk -v program=scenes|throw|rusty|gopher|crypto [-v musl=1] [-v arm64=1] \
#	-f known.awk <FOLDED
#
# "right NS wrong NS cut NS ends NS all NS", and of what is wrong or cut the first few.
# All: of user code. Right and wrong: where a leaf of the program spins, by the whole
# chain; frames that are not the program's own may only be where they must.

# chain LIST: functions of the program between main and a leaf that spins.
function chain(list)
{
	known[list] = 1
}

function scenes(	i, n, kinds)
{
	own = "^(leaf_|scene_|chain_|handler_|tail_|asm_|with_|realign_|coroutine|large_frame|vararg|cold|branchy|raises|deep|jumper|leap|thread_main)"
	# Below these, libraries call the program.
	called = "^(raises|asm_trap_first|scene_library)$"
	chain("scene_chain chain_b chain_c leaf_chain")
	chain("scene_deep deep*201 leaf_deep")
	chain("scene_alloca with_vla leaf_alloca")
	chain("scene_alloca with_vla with_alloca leaf_alloca")
	chain("scene_large large_frame leaf_large")
	n = split("local dynamic avx arg", kinds, " ")
	for (i = 1; i <= n; i++)
		chain("scene_realign realign_" kinds[i] " leaf_realign")
	chain("scene_vararg vararg leaf_vararg")
	chain("scene_branchy branchy leaf_cold")
	chain("scene_branchy branchy cold leaf_cold")
	# With and without calls at the end made into jumps.
	chain("scene_tail tail_b leaf_tail")
	chain("scene_tail leaf_tail")
	chain("scene_tail tail_b tail_c leaf_tail")
	n = split("scene_signal scene_altstack", kinds, " ")
	for (i = 1; i <= n; i++) {
		chain(kinds[i] " raises handler_nested handler_inner leaf_handler")
		# In a handler, raise() again.
		chain(kinds[i] " raises handler_nested + handler_inner leaf_handler")
	}
	chain("scene_altstack raises handler_jumps handler_inner leaf_handler")
	chain("scene_jump raises handler_jumps handler_inner leaf_handler")
	chain("scene_trap asm_trap_first handler_jumps handler_inner leaf_handler")
	chain("scene_longjmp leaf_longjmp")
	chain("scene_vfork leaf_vfork")
	chain("scene_library leaf_compare")
	n = split("pushes base deref states", kinds, " ")
	for (i = 1; i <= n; i++)
		chain("scene_asm asm_" kinds[i] " leaf_asm")
	chain("coroutine coroutine_inner leaf_coroutine")
	chain("thread_main leaf_thread")
	chain("thread_main chain_b chain_c leaf_chain")
}

# Of the other languages, whole stacks.
function others(	main)
{
	main = "^_start;__libc_start_main[^;]*;(\\[[^;]*\\];|__libc_start_call_main;)?main;"
	if (program == "throw")
		stack = main "(scene_library;std::.*;|scene_virtual;(std::.*;)?Both::(visit|look);|scene_throw;(rethrower;(thrower;)*(Guard::~Guard;)?)?)leaf_throw$"
	if (program == "rusty")
		stack = main "std::.*;rusty::main[^;]*;(rusty::rust_sorts[^;]*;(.*;)?|rusty::rust_chain[^;]*;|(rusty::rust_panics[^;]*;)+([^;]*[dD]rop[^;]*;)*)leaf_rust$"
	if (program == "gopher")
		stack = "^runtime\\.goexit[^;]*;(runtime\\.main;main\\.main;((main\\.goDeep;)+main\\.goChain;|main\\.goSorts;(sort\\.[^;]*;)+main\\.goSorts\\.func1;)|(main\\.main\\.[a-z0-9]*;)?main\\.goWorker;main\\.goChain;)main\\.leafGo$"
}

BEGIN {
	if (program == "scenes")
		scenes()
	else
		others()
	right = wrong = cut = ends = all = told = 0
}

# The functions of the program below main; sets root, the frames above it, and
# strange: there is a frame where none of others may be.
function own_chain(	i, f, list, last, times, strangers)
{
	root = list = last = ""
	strange = times = strangers = 0
	for (i = 1; i <= n; i++) {
		f = frame[i]
		sub(/\(.*/, "", f)
		sub(/\.(cold|part|constprop|isra).*/, "", f)
		if (f == "main" && list == "") {
			root = root " main"
			below_main = 1
			continue
		}
		if (f !~ own) {
			if (list == "" && !(root ~ / main$/))
				root = root " " f
			else if (last !~ called && last !~ /^handler_nested/)
				strange = 1
			else
				strangers++
			continue
		}
		if (last == "handler_nested" && strangers)
			list = list " +"
		strangers = 0
		if (f == last) {
			times++
			continue
		}
		if (times)
			list = list "*" (times + 1)
		times = 0
		list = list " " f
		last = f
	}
	return substr(list, 2)
}

function tell(what)
{
	if (told++ < 8)
		print "# " what ": " $0
}

{
	w = $NF
	line = $0
	sub(/ [0-9]+$/, "", line)
	gsub(/\.cold;/, ";", line)
	n = split(line, frame, ";")
	# Not of user code: the kernel's own time before it and after it.
	if (line ~ /^(entry_|ret_from_fork|asm_(sysvec|exc|common)|error_entry)/)
		next
	all += w
	# Where the C library does not say that nobody has called it: below a
	# coroutine (glibc 2.36), and in clone3(), which says nothing. And where the
	# program is changing its mappings, so that none can be looked up.
	if (line ~ /^\[cut: no rows\];(\[libc[^;]*\]|(__)?clone3)(;entry_SYSCALL.*)?$/)
		ends += w
	else if (frame[1] ~ /^\[cut: / && line ~ /;(coroutine|setcontext|__do_sys_clone3|ret_from_fork_asm|vm_mmap_pgoff|__vm_munmap|do_mprotect_pkey|__do_sys_brk)(;|$)/)
		ends += w
	# Half of a change of stacks: the rows of glibc's are of a link register and
	# of a stack that are others' already.
	else if (arm64 && line ~ /^\[cut: bad frame\];[^;]*;(__)?(set|swap)context$/)
		ends += w
	else if (frame[1] ~ /^\[cut: /) {
		cut += w
		tell("cut")
	}
	if (program != "scenes") {
		if (frame[n] !~ /^(main\.)?leaf/)
			next
		if (line ~ stack)
			right += w
		else {
			wrong += w
			tell("wrong")
		}
		next
	}
	if (frame[n] !~ /^leaf_/)
		next
	# What an uncovered library calls may have any callers.
	if (musl && frame[n] ~ /^leaf_(handler|compare|thread)/)
		next
	list = own_chain()
	if (musl)
		begun = 1
	else if (list ~ /^(thread_main|coroutine)/)
		begun = root !~ / (main|_start)/
	else
		begun = root ~ /^ _start( __libc_start_(call_)?main[^ ]*| \[[^ ]*\])+ main$/
	if (list in known && begun && !strange) {
		right += w
	} else {
		wrong += w
		tell("wrong")
	}
}

END {
	printf "right %.0f wrong %.0f cut %.0f ends %.0f all %.0f\n", right, wrong,
		cut, ends, all
}
