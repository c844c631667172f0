// SPDX-License-Identifier: Apache-2.0
//! Rust: closures, sorting, formatting, a panic that unwinds through frames.

use std::arch::asm;

const MARK_NR: u64 = 0x6b73;
const MARK_BEGIN: u64 = 1;
const MARK_END: u64 = 2;

#[inline(always)]
fn mark(what: u64) {
    // No kernel has this system call.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inout("rax") MARK_NR => _, in("rdi") what,
             in("rsi") 0, in("rdx") 0, out("rcx") _, out("r11") _);
    }
}

// std::hint's is not in Debian 12's Rust yet.
#[inline(always)]
fn black_box<T>(x: T) -> T {
    let at = &x as *const T;
    unsafe { asm!("/* {} */", in(reg) at, options(nostack)) };
    x
}

static mut SPINS: u64 = 2;

#[inline(never)]
#[no_mangle]
fn leaf_rust(x: u64) -> u64 {
    let mut n = unsafe { SPINS };
    while n > 0 {
        n = black_box(n - 1);
    }
    x + 1
}

struct Guard(u64);

impl Drop for Guard {
    #[inline(never)]
    fn drop(&mut self) {
        black_box(leaf_rust(self.0));
    }
}

#[inline(never)]
fn rust_panics(n: u64) -> u64 {
    let guard = Guard(n);
    if n == 0 {
        // Without a message: the hook stays out of it.
        std::panic::resume_unwind(Box::new(1u32));
    }
    let x = black_box(rust_panics(n - 1));
    x + guard.0
}

#[inline(never)]
fn rust_sorts(v: &mut [u64]) -> u64 {
    v.sort_by(|a, b| leaf_rust(*a).cmp(&leaf_rust(*b)));
    black_box(v[0])
}

#[inline(never)]
fn rust_chain(x: u64) -> u64 {
    let a = black_box(leaf_rust(x));
    let b = black_box(leaf_rust(a));
    a ^ b
}

#[inline(never)]
fn rust_formats(x: u64) -> usize {
    black_box(format!("{:>10} {:.3} {:?}", x, x as f64 / 7.0, vec![x, x + 1])).len()
}

fn main() {
    let mut args = std::env::args().skip(1);
    if let Some(n) = args.next() {
        unsafe { SPINS = n.parse().unwrap() };
    }
    let rounds: u64 = args.next().map_or(1, |n| n.parse().unwrap());
    mark(MARK_BEGIN);
    for round in 0..rounds {
        black_box(rust_chain(round));
        black_box(rust_sorts(&mut [5, 2, 8, 1]));
        black_box(rust_formats(round));
        let _ = black_box(std::panic::catch_unwind(|| rust_panics(2)));
    }
    mark(MARK_END);
}
