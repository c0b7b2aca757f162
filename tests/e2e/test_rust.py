"""Rust: `extern "C"` functions, from debug information."""
import os
import shutil

from harness import Failure, contains, equal

SOURCE = r"""
use std::io::Write;
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Point { x: f64, y: f64, n: i32 }
fn ran(name: &str) {
    let path = std::env::var("BODY_LOG").unwrap();
    let mut f = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    writeln!(f, "{}", name).unwrap();
}
#[no_mangle]
#[inline(never)]
pub extern "C" fn scale(p: *mut Point, by: f64) -> i32 {
    ran("scale");
    let q = unsafe { &mut *p };
    q.x *= by;
    q.y += by;
    q.n += 1;
    q.n
}
#[no_mangle]
#[inline(never)]
pub extern "C" fn total(x: *const f64, n: usize) -> f64 {
    ran("total");
    unsafe { std::slice::from_raw_parts(x, n) }.iter().sum()
}
fn main() {
    let mut p = Point { x: 1.0, y: 2.0, n: 3 };
    let v = [1.0, 2.0, std::env::args().count() as f64];
    let k = scale(&mut p, 2.0);
    println!("{} {} {} {} {}", k, p.x, p.y, p.n, total(v.as_ptr(), 3));
}
"""


def rustc():
    for path in ("/usr/bin/rustc", shutil.which("rustc"), os.path.expanduser("~/.cargo/bin/rustc")):
        if path and os.path.exists(path):
            return path
    raise Failure("there is no rustc: apt-get install rustc")


def test_extern_c_functions(t):
    source = t.write("program.rs", SOURCE)
    t.execute([rustc(), "-g", "-O", "-o", t.dir / "program", source], env={"HOME": os.environ.get("HOME", "/"), "RUSTUP_HOME": os.environ.get("RUSTUP_HOME"),
              "CARGO_HOME": os.environ.get("CARGO_HOME")})
    program = str(t.dir / "program")
    config = t.config("defaults: { cache_policy: INPUTS }\ntasks:\n  - symbol: scale\n    params: { p: inout }\n  - symbol: total\n    params: { x: 'in [n]' }\n")
    bare = t.bare([program])
    equal(t.bodies(), 2)
    for bodies in (2, 0):
        r = t.run([program], config)
        equal((r.out, r.err), (bare.out, b""))
        equal(t.bodies(), bodies)
    contains(t.ctl("init", program, "scale", "total").text, "x: 'inout [n]'")  # *const isn't const in Rust's DWARF
